// What differs between the releases of DALI that are supported, as far as our operators see
// it: 2.2.0, 2.3.0, 2.4.0. A difference gets a line here, and, where code must know it, a name.
//
// Headers. Those that are included here are alike in all three, but for op_schema.h: in 2.4 schemas
// may
//   be aliases of others, which changes the registry and the size of OpSchema. A shim is compiled
//   with the headers of its release, and no class of DALI is known to the core, so nothing is to be
//   done.
// Symbols. Each release gives its symbols its own version (DALI_2.4.0): no shim loads in another
// one. Before 2.2. Philox4x32_10 belongs to libdali_operators.so, with which plugins are not
// linked, and in
//   2.0 work for ThreadPool::AddWork takes the number of its thread: such releases are refused
//   here.
//
// What differs in Python: plugin/dali_private.py.
#ifndef DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_
#define DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_

#if !__has_include("dali/core/random/philox.h")
#error "dali_mix needs DALI 2.2 or later; install a release that docs/install.md names."
#endif

#endif  // DALI_MIX_NATIVE_DALI_DALI_COMPAT_H_
