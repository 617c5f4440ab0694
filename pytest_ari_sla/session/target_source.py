"""The target of a session: started or looked up when the first test needs it, once."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.external import external_target
from pytest_ari_sla.targets.user_application import UserApplication
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    from pytest_ari_sla.settings import Settings, TlsTrust
    from pytest_ari_sla.targets.simulator.process import SimulatorProcess
    from pytest_ari_sla.targets.target import Target

__all__ = ["TargetSource", "check_reachable"]


class TargetSource:
    """Gives the target that the settings name, and stops what it started."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._found: Target | None = None
        self._target: Target | None = None
        self._started: PrivateAsterisk | SimulatorProcess | None = None
        self._application: UserApplication | None = None

    @property
    def trust(self) -> TlsTrust:
        """Which certificate of the target is believed."""
        return self._settings.ari_trust

    @property
    def known(self) -> Target | None:
        """The target, if anybody needed it so far."""
        return self._target

    def get(self) -> Target:
        """Return the target; start it if need be, and make sure that its ARI answers us.

        Raises
        ------
        SlaError
            It cannot be reached or used: one sentence that says why and what to do.
        """
        try:
            return self._get()
        except OSError as error:  # what could not be opened or started, on the way
            raise host_limit(error) or error from error

    def _get(self) -> Target:
        if self._target is None:
            self._found = self._found or self._find()  # one that was started and does not answer is not started again
            # In a thread of its own: asyncio.run leaves the caller's thread without its event loop (it sets None), and
            # refuses one in which a loop runs, as where a test asks for the fixture from a coroutine.
            with ThreadPoolExecutor(1, "ari-sla target check") as thread:
                target = thread.submit(asyncio.run, check_reachable(self._found, self._settings)).result()
            self._start_application(target)  # after the check: it finds an ARI that answers
            self._target = target
        return self._target

    def _start_application(self, target: Target) -> None:
        """Start the application under test, where this tool is to do that."""
        if self._settings.app is not None:
            application = UserApplication(self._settings.app, target.endpoint, trust=self._settings.ari_trust)
            self._application = self._stack.enter_context(application)

    def crash(self) -> SlaError | None:
        """Return how target or application, where they were started here, ended by themselves; None while they run."""
        for started in (self._started, self._application):
            try:
                if started is not None:
                    started.ensure_alive()
            except SlaError as error:
                return error
        return None

    def _find(self) -> Target:
        settings = self._settings
        if settings.asterisk is not None:
            folder = settings.asterisk_config
            asterisk = PrivateAsterisk(settings.asterisk, configuration_folder=Path(folder) if folder else None)
            self._started = self._stack.enter_context(asterisk)
            return self._started.target
        if settings.ari_url is not None:
            return external_target(
                settings.ari_url,
                user=settings.ari_user,
                password=settings.ari_password,
                media_host=settings.media_host or settings.media_bind,
            )
        from pytest_ari_sla.targets.simulator.process import SimulatorProcess

        self._started = self._stack.enter_context(SimulatorProcess())
        return self._started.target

    def close(self) -> None:
        """Stop what was started."""
        self._started = self._application = None  # first: what we end ourselves has not crashed
        self._stack.close()


async def check_reachable(target: Target, settings: Settings) -> Target:
    """Return the target with its version, having opened and closed an ARI session."""
    # Of this check alone: two sessions may start at one Asterisk, and a name has one connection (ApplicationReplaced).
    name = f"ari-sla-check-{secrets.token_hex(4)}"
    async with AriSession(
        target.url,
        target.user,
        target.password,
        app=name,
        id_prefix=name,
        trust=settings.ari_trust,
        max_in_flight=1,
    ) as session:
        version = (await session.info()).system.version

    return replace(target, version=version)
