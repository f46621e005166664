"""Recorded decisions explained, each by the rules of its own version, whatever they are today."""

import json
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from callguard.cli import one_line
from callguard.cli.explain import allowed_from_text, explanation, explanation_table
from callguard.errors import InputError
from callguard.journal.export import as_json
from callguard.journal.reader import Logged
from callguard.journal.versions import find_version
from callguard.numbers import NumberReader
from callguard.screening.model import Verdict
from callguard.screening.rules import Rules
from callguard.screening.times import callee_zones


class Explained:
    """Explains decisions of the journal. Its methods raise SqlError."""

    def __init__(self, engine: sa.Engine, reader: NumberReader) -> None:
        self._engine = engine
        self._reader = reader
        self._known: dict[str, tuple[Rules | None, str]] = {}

    def json_lines(self, decisions: Iterable[Logged]) -> Iterator[str]:
        """As the journal's JSON, with what the rules say in the explanation."""
        for logged in decisions:
            screened = logged.decision.screened
            steps = explanation(screened.steps, self._rules(screened.rules)[0])
            yield json.dumps({**as_json(logged), "explanation": steps}) + "\n"

    def texts(self, decisions: Iterable[Logged]) -> Iterator[str]:
        """For a person to read."""
        none = True
        for logged in decisions:
            yield ("" if none else "\n") + self._text(logged)
            none = False
        if none:
            yield "No decisions.\n"

    def _text(self, logged: Logged) -> str:
        decision = logged.decision
        facts, screened = decision.facts, decision.screened
        rules, why_not = self._rules(screened.rules)
        lines = [
            f"{facts.dialled}: {screened.verdict}, {screened.reason}",
            f"  decision  {decision.id}, reference {decision.reference}",
            f"  time      {facts.at.astimezone():%Y-%m-%d %H:%M:%S %z}, {facts.at:%Y-%m-%d %H:%M:%S} UTC",
            f"  number    {facts.number.e164 or facts.number.kind}",
            f"  call      {facts.purpose}, {f'for {facts.project}' if facts.project else 'for no project'}"
            f"{f', about {facts.subject}' if facts.subject else ''}, by {facts.agent or 'nobody known'}",
            f"  lists     {_lists(logged)}",
            f"  rules     {screened.rules}{f' ({why_not})' if why_not else ''}",
        ]
        if screened.verdict is Verdict.REFUSE and screened.allowed_from is not None:
            lines.append(
                f"  allowed   {allowed_from_text(screened.allowed_from, self._zones(logged, rules))}"
            )
        told = "\n".join(map(one_line, lines)) + "\n"
        if not screened.steps:
            return f"{told}\nThe version of callguard that decided kept no explanation.\n"
        return f"{told}\n{explanation_table(screened.steps, rules)}"

    def _rules(self, version: str) -> tuple[Rules | None, str]:
        """The rules of a version, read once; without them, why not."""
        if version not in self._known:
            self._known[version] = self._find(version)
        return self._known[version]

    def _find(self, version: str) -> tuple[Rules | None, str]:
        try:
            stored = find_version(self._engine, version)
        except InputError as error:
            return None, str(error)
        return (stored.rules, "") if stored else (None, "no guard has stored them")

    def _zones(self, logged: Logged, rules: Rules | None) -> tuple[str, ...]:
        facts = logged.decision.facts
        if rules is None or facts.number.e164 is None:
            return ()
        number = self._reader.read(facts.number.e164)
        return callee_zones(number, rules.binding(facts.number.e164, facts.project, facts.purpose))


def _lists(logged: Logged) -> str:
    decision = logged.decision
    if decision.lists_origin is None:
        return "not asked"
    return f"at position {decision.lists_position}, in {decision.lists_origin}"
