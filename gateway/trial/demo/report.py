"""What a story held, as values: checks, stories, the report. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, and whether it held; ``detail`` says what was seen."""

    name: str
    held: bool
    detail: str = ""


@dataclass(slots=True)
class Told:
    """One story as it went. ``held`` only if something was checked and all of it held, or it was ``skipped``,
    which says what it would have needed."""

    name: str
    seconds: float = 0.0
    checks: list[Check] = field(default_factory=list)
    skipped: str | None = None

    @property
    def held(self) -> bool:
        if self.skipped is not None:
            return True
        return bool(self.checks) and all(check.held for check in self.checks)

    def check(self, name: str, held: bool, detail: object = "") -> None:
        """Note one claim."""
        self.checks.append(Check(name, bool(held), str(detail)))


def report(stories: list[Told]) -> dict[str, object]:
    """``{held, stories: [{name, held, skipped, seconds, checks: [{name, held, detail}]}]}``."""
    return {
        "held": bool(stories) and all(story.held for story in stories),
        "stories": [
            {
                "name": story.name,
                "held": story.held,
                "skipped": story.skipped,
                "seconds": round(story.seconds, 3),
                "checks": [{"name": c.name, "held": c.held, "detail": c.detail} for c in story.checks],
            }
            for story in stories
        ],
    }
