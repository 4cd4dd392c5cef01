"""
No memory becomes code.
"""

from __future__ import annotations

import errno
import mmap
from typing import Final

from revproxy.isolation.lock.kernel import attempt, prctl
from revproxy.isolation.lock.step import Step, demand

_PR_SET_MDWE: Final = 65
_PR_MDWE_REFUSE_EXEC_GAIN: Final = 1

_WRITE_AND_EXECUTE: Final = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
_PAGE: Final = mmap.PAGESIZE


class NoNewCode(Step):
    """
    Memory that can be written is never executed, and what could not be executed never will be (from Linux 6.3 on).
    The filter of system calls refuses most of that too; this closes what it cannot see.
    """

    name = "no-new-code"

    def apply(self) -> None:
        """For good."""
        try:
            prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN)
        except OSError as error:
            demand(error.errno != errno.EINVAL, "this kernel cannot (it came with 6.3)")
            raise

    def prove(self) -> str:
        """Tries both ways."""
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        made = attempt("mmap", None, _PAGE, _WRITE_AND_EXECUTE, private, -1, 0)
        demand(made == -errno.EACCES, "memory can be had that is written and executed")
        page = attempt("mmap", None, _PAGE, mmap.PROT_READ | mmap.PROT_WRITE, private, -1, 0)
        demand(page > 0, "there is no memory to try it with")
        changed = attempt("mprotect", page, _PAGE, mmap.PROT_READ | mmap.PROT_EXEC)
        attempt("munmap", page, _PAGE)
        demand(changed == -errno.EACCES, "written memory can be made code")
        return ""
