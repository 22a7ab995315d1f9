// What differs between the supported releases of DALI, 2.2.0, 2.3.0 and 2.4.0, as far as our
// operators see it. Each difference has a paragraph here, and a name where code must know it.
//
// Headers: the ones that we include are the same in all three, except op_schema.h. Since 2.4 a
// schema may be an alias of another, which changes the registry and the size of OpSchema. A shim is
// compiled with the headers of its release, and the core knows no class of DALI, so this needs no
// code.
//
// Symbols: each release gives its symbols its own version, such as DALI_2.4.0. A shim loads in no
// other release.
//
// Before 2.2: Philox4x32_10 is in libdali_operators.so, with which plugins are not linked. In 2.0
// work for ThreadPool::AddWork takes the number of its thread. Such releases are refused here.
//
// plugin/dali_private.py has what differs in Python.
#ifndef DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_
#define DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_

#if !__has_include("dali/core/random/philox.h")
#error "dali_mix needs DALI 2.2 or later; install a release that docs/install.md names."
#endif

#endif  // DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_
