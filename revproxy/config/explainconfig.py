"""The section ``explain`` of revproxy.yaml as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from revproxy.config.section import Section


@dataclass(frozen=True, slots=True)
class ExplainConfig:
    """Of which requests is noted why they went as they did.

    :ivar collect: whether it is of any.
    :ivar sample: the part of the requests of which every call of a plugin is timed; 0 to 1.
    :ivar slower: seconds from which on a request is slow.
    """

    collect: bool = True
    sample: float = 0.01
    slower: float = 1.0

    @property
    def every(self) -> int | None:
        """One in so many requests is in the sample; 0: none. None: nothing is noted of any."""
        if not self.collect:
            return None
        return max(1, round(1 / self.sample)) if self.sample else 0


def explainOf(root: Section) -> ExplainConfig:
    """The section, with its defaults where it says nothing."""
    section, plain = root.section("explain"), ExplainConfig()
    return ExplainConfig(
        section.flag("collect", plain.collect),
        section.share("sample", plain.sample),
        section.seconds("slower", plain.slower),
    )
