"""
The table: all that the API can be asked. A subject is a file in `revproxy.admin.operations`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from revproxy.admin.audited import audited
from revproxy.admin.operation import Operation
from revproxy.admin.operations.alerts import alertOperations
from revproxy.admin.operations.audit import auditOperations
from revproxy.admin.operations.certificates import certificateOperations
from revproxy.admin.operations.chain import chainOperations
from revproxy.admin.operations.configuration import configurationOperations
from revproxy.admin.operations.connections import connectionOperations
from revproxy.admin.operations.doctor import doctorOperations
from revproxy.admin.operations.events import eventOperations
from revproxy.admin.operations.explain import explainOperations
from revproxy.admin.operations.history import historyOperations
from revproxy.admin.operations.plan import planOperations
from revproxy.admin.operations.plugins import pluginOperations
from revproxy.admin.operations.recordings import recordingOperations
from revproxy.admin.operations.rehearse import rehearseOperations
from revproxy.admin.operations.requests import requestOperations
from revproxy.admin.operations.rollouts import rolloutOperations
from revproxy.admin.operations.sources import sourceOperations
from revproxy.admin.operations.status import statusOperations
from revproxy.admin.operations.traffic import trafficOperations
from revproxy.admin.operations.trust import trustOperations
from revproxy.admin.operations.upstreams import upstreamOperations
from revproxy.control.control import Control

SUBJECTS: tuple[Callable[[Control], Iterable[Operation]], ...] = (
    statusOperations,
    trafficOperations,
    connectionOperations,
    pluginOperations,
    rolloutOperations,
    trustOperations,
    sourceOperations,
    chainOperations,
    eventOperations,
    planOperations,
    upstreamOperations,
    certificateOperations,
    configurationOperations,
    historyOperations,
    auditOperations,
    alertOperations,
    requestOperations,
    explainOperations,
    rehearseOperations,
    recordingOperations,
    doctorOperations,
)
"""Each makes its operations of what it takes from `Control`."""


def allOperations(control: Control) -> list[Operation]:
    """The operations of all subjects."""
    return [audited(operation, control.audit) for subject in SUBJECTS for operation in subject(control)]


__all__ = ["SUBJECTS", "allOperations"]
