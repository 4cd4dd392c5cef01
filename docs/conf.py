"""
Settings of Sphinx; ``make docs`` builds. Nothing in the pages is loaded from elsewhere.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "revproxy"
author = "The revproxy authors"
copyright = "2026, " + author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "inlinepictures", "zopeinterfaces"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

# Every reference leads somewhere, but for those to others' documentation, which is not asked for over the network.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|logging|msgspec|os|treq|twisted|zope)\..*"),
    (r"py:.*", r"revproxy\.dataplane\..*"),
    (r"py:class", r"Deferred|Failure|LoopingCall|revproxy\.checked\.T"),
    (r"py:mod", r"(?!revproxy).*"),
    # A field list names attributes and makes no targets of them.
    (r"py:attr", r"revproxy\..*"),
    # A type variable.
    (r"py:class", r"revproxy\.checked\.T"),
]

html_theme = "furo"
html_title = "revproxy"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "native"
# The prompt is shown and not copied; what a command prints is not copied either.
copybutton_prompt_text = r"\$ |# "
copybutton_prompt_is_regexp = True
