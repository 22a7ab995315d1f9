"""What mkdocs does besides: pages and programs that lie outside docs/ are part of the site, under
the names that they have in the checkout. README.md is the first page."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
OUTSIDE = ("CHANGELOG.md", "bench/README.md", "bench/charts/*.svg", "pipelines/**/*.*")


def on_files(files, config):
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=readme))
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            if "__pycache__" not in path.parts:
                name = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, **_):
    """Links from docs/ to the checkout: what is outside docs/ there is beside it here."""
    if page.file.src_uri.startswith("bench/"):
        return markdown
    return re.sub(r"\]\(\.\./(?=bench/|pipelines/|CHANGELOG)", "](", markdown)
