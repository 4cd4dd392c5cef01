"""
Settings of Sphinx; ``make docs`` builds.
"""

project = "revproxy"
author = "The revproxy authors"
copyright = "2026, " + author
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "An edge whose middleware are plugins", "page_width": "64rem"}
html_show_sourcelink = False
