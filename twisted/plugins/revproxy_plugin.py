"""
Tells ``twistd`` that there is a ``revproxy``. Imported by every ``twistd`` on the machine: nothing else belongs here.
"""

from twisted.application.service import ServiceMaker

revproxy = ServiceMaker(
    "revproxy",
    "revproxy.tap",
    "A TLS-terminating reverse proxy whose middleware are plugins.",
    "revproxy",
)
