"""
What the distribution is made of. Settings of the tools are in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

INSTALL = [
    "twisted[tls]>=26.10,<27",
    "zope.interface>=8.7",
    "treq>=26.7",
    "pyopenssl>=26.4,<27",
    "cryptography>=50,<51",
    "hupper>=1.12.1",
    "watchdog>=7.1",
    "httptools>=0.9,<0.10",
    "msgspec>=0.22",
    # 1.3.0 takes exponential time for backslashes in a quoted parameter.
    "multipart>=2.0.1",
    "ruamel.yaml>=0.19.1",
    "jsonschema>=4.26",
    "packaging>=25",
    "pathspec>=1.1.1",
    "click>=8.5",
    "rich>=15",
    "argon2-cffi>=25.1",
    "bcrypt>=5",
    # Signatures of plugins: ssh-keygen -Y sign, and minisign.
    "sshsig==0.3.1",
    "py-minisign>=0.21.1,<0.22",
]

TEST = [
    "aiohttp>=3.14",
    "coverage>=7.10",
    # The schema of bills of materials.
    "cyclonedx-python-lib[json-validation]>=11.12,<12",
    "h11>=0.16",
    "hypothesis>=6.150",
    # The traffic that the judge of rollouts is simulated with. 2.5 needs Python 3.12.
    "numpy>=2.3,<2.5",
    # Libraries that tests vendor into plugins.
    "jinja2>=3.1",
    # What the admin API, the dashboard, metrics, traces and webhooks are compared with.
    "openapi-spec-validator>=0.7",
    "opentelemetry-exporter-otlp-proto-http>=1.45",
    "opentelemetry-sdk>=1.45",
    "playwright>=1.65",
    "prometheus-client>=0.26",
    "schemathesis>=4.32",
    "standardwebhooks>=1.1",
    "mypy==2.4.*",
    "mypy-zope==1.0.17",
    "pyjwt>=2.8,<3",
    "redis>=5",
    "ruff>=0.17,<0.18",
    "setuptools>=77",
    "websockets>=17",
    "wheel",
]

BENCH = ["aiohttp>=3.14", "numpy>=2.3,<2.5", "py-spy>=0.4", "uvloop>=0.22"]

DOCS = ["furo>=2025.12.19", "myst-parser>=4", "sphinx>=8.2", "sphinx-copybutton>=0.5.2"]

# Locked requirements, and what is known of them.
AUDIT = ["pip-audit>=2.10,<3", "uv>=0.13,<0.14"]

OTEL = ["opentelemetry-exporter-otlp-proto-http>=1.45", "opentelemetry-sdk>=1.45"]

setup(
    name="revproxy",
    version="0.2.0",
    description="A TLS-terminating reverse proxy whose middleware are plugins, written in Python",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Internet :: Proxy Servers",
        "Typing :: Typed",
    ],
    # twisted.plugins is a folder of Twisted's into which every distribution may put modules. It has no __init__.py,
    # neither here nor anywhere else, so find_packages does not see it.
    packages=[*find_packages(include=["revproxy", "revproxy.*"]), "twisted.plugins"],
    package_data={"revproxy": ["py.typed", "config/schemas/*.json", "admin/dashboard/**/*"]},
    install_requires=INSTALL,
    extras_require={"otel": OTEL, "test": TEST, "bench": BENCH, "docs": DOCS, "audit": AUDIT},
    entry_points={"console_scripts": ["revproxy = revproxy.cli.main:main"]},
    zip_safe=False,
)
