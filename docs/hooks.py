"""What mkdocs does besides: pages and programs that lie outside docs/ are part of the site, under
the names that they have in the checkout. README.md is the first page."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "bench/README.md")
OTHERS = ("bench/charts/*.svg", "pipelines/*.py", "pipelines/adopt/*.diff")


def on_files(files, config):
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=readme))
    for pattern in PAGES + OTHERS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, **_):
    """Links from docs/ to what lies outside it, which is beside it here."""
    if page.file.src_uri == "bench/README.md":
        return markdown.replace("<details>", '<details markdown="1">')
    markdown = markdown.replace("](../README.md", "](index.md")
    return re.sub(r"\]\(\.\./(?=bench/|pipelines/)", "](", markdown)
