"""What the site (`make site`) does beyond the pages as they read on GitHub.

- Pages that live elsewhere in the repository (the changelog, a data card) become pages of the site.
- Links that leave `docs/` lead to those pages, else to the repository at REPO_URL, else they are text.
- Headings get the anchors that GitHub gives them.
- A page that would load anything from another host fails the build: the site must work without a network.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "configs/README.md": "configs.md",
    "examples/proxies/README.md": "proxies.md",
}
"""Files of the repository outside docs/ and the pages they become."""

LINK = re.compile(r"(?<!\!)\[(?P<text>[^\]]+)\]\((?P<target>(?!https?:|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?https?://[^\"'>\s]+"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon))[^>]*\bhref=[\"']?https?://[^\"'>\s]+"
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the repository's address from the environment, and GitHub's rule for anchors."""
    config.repo_url = os.environ.get("REPO_URL") or None
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live outside docs/."""
    for source, page in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Make the links that leave docs/ lead somewhere."""
    name = page.file.src_uri
    source = next((path for path, site in ELSEWHERE.items() if site == name), f"docs/{name}")
    repository = (os.environ.get("REPO_URL") or "").rstrip("/")
    return LINK.sub(lambda link: site_link(link, source, name, repository), markdown)


def site_link(link: re.Match[str], source: str, page: str, repository: str) -> str:
    """One Markdown link of the file `source` as it has to read on the site's `page`."""
    text, anchor = link["text"], link["anchor"] or ""
    target = normpath(str(PurePosixPath(source).parent / link["target"]))
    if target.startswith("docs/"):
        site = target.removeprefix("docs/")
    elif target in ELSEWHERE:
        site = ELSEWHERE[target]
    else:
        return f"[{text}]({repository}/blob/main/{target}{anchor})" if repository else text
    return f"[{text}]({relpath(site, str(PurePosixPath(page).parent))}{anchor})"


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that loads from another host."""
    for path in Path(config.site_dir).rglob("*.html"):
        if found := LOADED.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path}: loads from another host: {found[0]}")
