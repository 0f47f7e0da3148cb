from __future__ import annotations

from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from proxy.breakers.breaker import Breaker, Change, Permit, Policy, RemoteEvent, State, end_cooldown

POLICY = Policy(failure_threshold=3, cooldown=60.0, success_threshold=2)
CHAT, EMBEDDINGS, MODERATIONS = "chat/completions", "embeddings", "moderations"


class Stage:
    """A breaker driven by a script of words; each attempt is named by a letter.

    ``a+``: attempt a acquires a permit; ``aX``: it is refused. ``aC``: its stream commits. ``aS``, ``aF``, ``aL``: it
    succeeds, fails, is released. ``aM``: it is released because chat has no such model. ``+60``: seconds pass.
    ``trip``, ``reset`` and ``reload`` are calls.
    """

    def __init__(self, policy: Policy = POLICY) -> None:
        self.now = 1000.0
        self.changes: list[tuple[State, State, float]] = []
        self.breaker = Breaker(policy, "openai/gpt", self.changed)
        self.permits: dict[str, Permit] = {}

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        self.changes.append((old, breaker.state, now))

    def play(self, script: str) -> Breaker:
        for word in script.split():
            self.word(word)
        return self.breaker

    def word(self, word: str) -> None:
        breaker, now = self.breaker, self.now
        if word[0] == "+":
            self.now += float(word)
        elif word in ("reset", "reload"):
            getattr(breaker, word)(now)
        elif word == "trip":
            breaker.trip(now, "operator")
        elif word[1] in "+X":
            admitted = breaker.admits(CHAT, now)
            self.permits[word[0]] = permit = breaker.acquire(CHAT, now)
            assert bool(permit) is admitted is (word[1] == "+"), word
        else:
            self.settle(self.permits[word[0]], word[1])

    def settle(self, permit: Permit, verdict: str) -> None:
        if verdict == "C":
            self.breaker.commit(permit, self.now)
        elif verdict == "S":
            self.breaker.succeed(permit, CHAT, self.now)
        elif verdict == "F":
            self.breaker.fail(permit, self.now, "status_500")
        elif verdict == "L":
            self.breaker.release(permit, self.now)
        else:
            self.breaker.release(permit, self.now)
            self.breaker.missing(CHAT, self.now)


OPENED = "a+ aF b+ bF c+ cF"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        pytest.param("", "closed", id="new"),
        pytest.param("a+ aS b+ bL", "closed", id="no failure"),
        pytest.param("a+ aF b+ bF", "closed", id="one below the threshold"),
        pytest.param("a+ aF b+ bF c+ cF", "open", id="the threshold"),
        pytest.param("a+ b+ c+ aF bF cF", "open", id="concurrent failures"),
        pytest.param("a+ aF b+ bF c+ cS d+ dF e+ eF", "closed", id="a success in between resets the count"),
        pytest.param("a+ aF b+ bF c+ cL d+ dF", "open", id="a disconnect is not a success"),
        pytest.param("a+ aC b+ bC c+ cC aF bF cF", "open", id="streams that break after their commits"),
        pytest.param("a+ aC aF b+ bC bF c+ cC cF", "open", id="every stream breaks after its commit"),
        pytest.param("a+ aF b+ bF c+ cC d+ dF", "open", id="a commit does not clear the count"),
        pytest.param("a+ aF b+ bF c+ cC cS d+ dF", "closed", id="a whole end does"),
        pytest.param("a+ aC b+ bF c+ cF aS d+ dF", "closed", id="the whole end of an older stream does, too"),
        pytest.param(f"{OPENED} +59 dX", "open", id="cooling"),
        pytest.param(f"{OPENED} +60", "open", id="cooldown over without an attempt"),
        pytest.param(f"{OPENED} +60 d+", "half_open", id="the first after the cooldown"),
        pytest.param(f"{OPENED} +60 d+ eX +600 fX", "half_open", id="one probe at a time, however long"),
        pytest.param(f"{OPENED} +60 d+ dS", "half_open", id="one success of two"),
        pytest.param(f"{OPENED} +60 d+ dS e+ eS", "closed", id="two successes"),
        pytest.param(f"{OPENED} +60 d+ dS e+ eS f+ g+ gF h+ hF", "closed", id="begins anew after recovery"),
        pytest.param(f"{OPENED} +60 d+ dF eX", "open", id="a probe that fails"),
        pytest.param(f"{OPENED} +60 d+ dF +59 eX +1 e+", "half_open", id="and a whole cooldown after it"),
        pytest.param(f"{OPENED} +60 d+ dS e+ eF", "open", id="the second probe fails"),
        pytest.param(f"{OPENED} +60 d+ dS e+ eF +60 f+ fS", "half_open", id="successes are not carried over"),
        pytest.param(f"{OPENED} +60 d+ dL e+ eS f+ fS", "closed", id="a disconnect frees the slot of a probe"),
        pytest.param(f"{OPENED} +60 d+ dL", "half_open", id="and that is no verdict"),
        pytest.param(f"{OPENED} +60 d+ dC dF", "open", id="a probe's stream that breaks after its commit"),
        pytest.param(f"{OPENED} +60 d+ dC e+ dF eS", "open", id="while another one runs, which is late then"),
        pytest.param(f"{OPENED} +60 d+ dC e+ eC dF f+", "closed", id="after recovery it is one failure"),
        pytest.param(f"{OPENED} +60 d+ dC e+ eC", "closed", id="the commits of two probes"),
        pytest.param(f"{OPENED} +60 d+ dC dS", "half_open", id="a commit and the end of its stream are one success"),
        pytest.param(f"{OPENED} +60 d+ dC dL e+ eS", "closed", id="a client that leaves after the commit"),
    ],
)
def test_a_breaker_cycles_through_its_states(script: str, state: State) -> None:
    assert Stage().play(script).state == state


@pytest.mark.parametrize("verdict", ["C", "S", "F", "L"])
def test_a_late_outcome_does_not_change_the_cooldown(verdict: str) -> None:
    stage = Stage()
    breaker = stage.play(f"z+ {OPENED} +30 z{verdict} +29 dX")
    assert (breaker.state, breaker.failures, breaker.retry_at) == ("open", 3, 1060.0)
    stage.play("+1 d+")


@pytest.mark.parametrize("verdict", ["C", "S", "F", "L"])
def test_a_late_outcome_does_not_change_half_open(verdict: str) -> None:
    stage = Stage()
    breaker = stage.play(f"z+ y+ {OPENED} +60 d+ z{verdict} eX dS y{verdict}")
    assert (breaker.state, breaker.successes) == ("half_open", 1)
    assert stage.play("e+ eS").state == "closed"


@pytest.mark.parametrize("verdict", ["C", "S", "F", "L"])
def test_a_probe_frees_only_its_own_slot(verdict: str) -> None:
    stage = Stage()
    stage.play(f"{OPENED} +60 d+ dC e+ dF")  # d's stream broke: open again, with e on its way
    breaker = stage.play(f"+60 f+ e{verdict} gX")
    assert (breaker.state, breaker.successes, breaker.active_probe) == ("half_open", 0, stage.permits["f"])


def test_a_late_failure_does_not_reopen_the_breaker() -> None:
    breaker = Stage().play(f"{OPENED} +60 d+ dC e+ eF +60 f+ dF")
    assert breaker.state == "half_open"
    assert breaker.active_probe


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("a+ aM bX", "unavailable"),
        ("a+ aM +9999 bX", "unavailable"),
        ("a+ b+ aM bS cX", "unavailable"),
        ("a+ aM reset b+", "closed"),
        ("a+ aM reload b+", "closed"),
        (f"z+ {OPENED} zM +60 dX", "open"),
        (f"{OPENED} +60 d+ dM eX", "half_open"),
        (f"{OPENED} +60 d+ dM reload e+", "half_open"),
    ],
)
def test_a_missing_model_stays_unavailable_until_reset_or_reload(script: str, state: State) -> None:
    assert Stage().play(script).state == state


def test_a_missing_model_does_not_affect_other_endpoints() -> None:
    stage = Stage()
    breaker = stage.play("a+ aM")
    assert breaker.acquire(EMBEDDINGS, stage.now) is Permit.NORMAL
    assert breaker.state_at(EMBEDDINGS, stage.now) == "closed"
    assert breaker.state_at(CHAT, stage.now) == "unavailable"


def test_a_breaker_with_a_missing_model_opens_and_recovers_for_the_other_endpoints() -> None:
    stage = Stage()
    breaker = stage.play("a+ aM")
    for _ in range(3):
        breaker.fail(breaker.acquire(EMBEDDINGS, stage.now), stage.now, "status_500")
    assert breaker.state_at(EMBEDDINGS, stage.now) == "open"
    for _ in range(2):
        permit = breaker.acquire(EMBEDDINGS, stage.now + 60)
        assert permit.probe
        breaker.succeed(permit, EMBEDDINGS, stage.now + 60)
    assert breaker.state == "unavailable"
    assert not breaker.admits(CHAT, stage.now + 60)
    assert breaker.failures == 0


# A model that is missing is requested again after 120 s, then 240, 480 and at most 600.
ROUNDS = "a+ aM +119 bX +1"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (ROUNDS, "unavailable"),
        (f"{ROUNDS} b+ bS", "closed"),
        (f"{ROUNDS} b+ bM +239 cX +1 c+ cM +479 dX +1 d+ dM +599 eX +1 e+ eM +599 fX +1 f+", "unavailable"),
        (f"{ROUNDS} b+ bS c+ cM +119 dX +1 d+", "unavailable"),
        ("a+ b+ c+ aM bM cM +119 dX +1 d+", "unavailable"),
        (f"z+ {ROUNDS} zM +119 bX", "unavailable"),
        (f"{ROUNDS} b+ c+ d+ bM cM dM +239 eX +1 e+", "unavailable"),
        (f"{ROUNDS} b+ bL c+ cF d+", "unavailable"),
        (f"{ROUNDS} b+ c+ d+ bF cF dF +60 e+ eS f+ fS", "closed"),
    ],
)
def test_a_missing_model_is_requested_again_after_a_cooldown_that_doubles(script: str, state: State) -> None:
    assert Stage(Policy(3, 60.0, 2, 120.0)).play(script).state == state


def test_a_configured_missing_cooldown_may_exceed_the_maximum() -> None:
    Stage(Policy(3, 60.0, 2, 900.0)).play("a+ aM +899 bX +1 b+ bM +899 cX +1 c+")


def test_a_found_model_does_not_affect_another_endpoint() -> None:
    stage = Stage(Policy(3, 60.0, 2, 120.0))
    breaker = stage.play("a+ aM")
    breaker.missing(EMBEDDINGS, stage.now + 100.0)
    assert stage.play("+120 b+ bS").state == "unavailable"
    assert (breaker.state_at(CHAT, stage.now), breaker.state_at(EMBEDDINGS, stage.now)) == ("closed", "unavailable")


@pytest.mark.parametrize(
    ("before", "ago", "cooldown", "until"),
    [
        pytest.param("", 50.0, 240.0, 1190.0, id="it is the other replica's cooldown"),
        pytest.param("", 50.0, 0.0, 1070.0, id="an earlier version does not say how long"),
        pytest.param("", 250.0, 240.0, None, id="it has passed"),
        pytest.param("a+ aM", 50.0, 120.0, 1120.0, id="it ends before our own"),
        pytest.param("a+ aM +120", 10.0, 240.0, 1350.0, id="ours has passed"),
    ],
)
def test_a_model_missing_at_another_replica_is_missing_here_until_the_same_time(
    before: str, ago: float, cooldown: float, until: float | None
) -> None:
    stage = Stage(Policy(3, 60.0, 2, 120.0))
    stage.play(before)
    stage.breaker.apply_remote("unavailable", stage.now, stage.now - ago, "", CHAT, cooldown)
    found = stage.breaker.missing_at.get(CHAT)
    assert (found and found.until) == until


@pytest.mark.parametrize("before", ["", "a+ aF", OPENED, f"{OPENED} +60 d+", "a+ aM"])
def test_a_tripped_breaker_stays_open_until_it_is_reset(before: str) -> None:
    stage = Stage()
    breaker = stage.play(f"{before} trip +9999 xX reload xX")
    assert (breaker.state, breaker.reason, breaker.retry_at) == ("open", "operator", None)
    stage.play("reset x+")
    assert (breaker.state, breaker.reason, breaker.failures) == ("closed", "", 0)


def test_a_reset_in_half_open_makes_the_probe_a_normal_attempt() -> None:
    breaker = Stage().play(f"{OPENED} +60 d+ reset dF e+ f+")
    assert (breaker.state, breaker.failures, breaker.active_probe) == ("closed", 1, Permit.REFUSED)


def test_a_new_policy_takes_effect_at_once() -> None:
    stage = Stage()
    breaker = stage.play("a+ aF b+ bF")
    breaker.policy = Policy(failure_threshold=2, cooldown=5.0, success_threshold=1)
    assert breaker.state == "closed"
    stage.play("c+ cF +5 d+ dS")
    assert breaker.state == "closed"
    assert [new for _, new, _ in stage.changes] == ["open", "half_open", "closed"]


def test_a_threshold_of_one_opens_at_the_first_failure() -> None:
    assert Stage(Policy(1, 60.0, 1)).play("a+ aF +60 b+ bS").state == "closed"


def test_a_zero_cooldown_makes_the_next_attempt_a_probe() -> None:
    assert Stage(Policy(1, 0.0, 1)).play("a+ aF b+ cX").state == "half_open"


def test_each_state_change_and_operator_command_is_reported_once() -> None:
    stage = Stage()
    stage.play(f"{OPENED} +60 d+ dF +60 e+ eS f+ fS g+ gM reset reset trip trip")
    assert stage.changes == [
        ("closed", "open", 1000.0),
        ("open", "half_open", 1060.0),
        ("half_open", "open", 1060.0),
        ("open", "half_open", 1120.0),
        ("half_open", "closed", 1120.0),
        ("closed", "unavailable", 1120.0),
        ("unavailable", "closed", 1120.0),
        ("closed", "closed", 1120.0),
        ("closed", "open", 1120.0),
        ("open", "open", 1120.0),
    ]
    assert stage.breaker.since == 1120.0


def test_each_missing_model_is_reported_once() -> None:
    stage = Stage()
    breaker = stage.play("")
    reported = []
    for endpoint in (CHAT, CHAT, EMBEDDINGS):
        before = len(stage.changes)
        breaker.missing(endpoint, stage.now)
        reported += [breaker.last] * (len(stage.changes) - before)
    assert reported == [Change("missing", CHAT), Change("missing", EMBEDDINGS)]
    stage.play("reload reload")
    assert (len(stage.changes), breaker.last) == (3, Change("reload"))


def test_tripping_an_open_breaker_replaces_its_reason() -> None:
    breaker = Stage().play(f"{OPENED} +30 trip")
    assert (breaker.since, breaker.reason) == (1030.0, "operator")


# --- events of other replicas -------------------------------------------------------------------------------


def apply_remote_event(stage: Stage, reported: RemoteEvent, ago: float, endpoint: str = "") -> Breaker:
    stage.breaker.apply_remote(reported, stage.now, stage.now - ago, "elsewhere", endpoint)
    return stage.breaker


@pytest.mark.parametrize("before", ["", "a+ aF", "a+ aM", f"{OPENED} +60 d+", f"{OPENED} +60 d+ dS"])
def test_a_breaker_opens_with_another_replica_and_its_cooldown_ends_at_the_same_time(before: str) -> None:
    stage = Stage()
    failures = stage.play(f"+60 {before} +20").failures
    breaker = apply_remote_event(stage, "open", 15.0)
    assert (breaker.state, breaker.reason, breaker.failures, breaker.successes) == ("open", "elsewhere", failures, 0)
    assert (breaker.last, breaker.active_probe) == (Change("opened_elsewhere", remote=True), Permit.REFUSED)
    assert breaker.retry_at == stage.now + 45.0
    breaker.missing_at = {}
    stage.play("+44 xX +1 y+ yS z+ zS")
    assert breaker.state == "closed"


def test_a_remote_opening_makes_a_running_probe_late() -> None:
    stage = Stage()
    stage.play(f"{OPENED} +60 d+ +5")
    apply_remote_event(stage, "open", 1.0)
    assert stage.play("dS").state == "open"
    assert stage.play("+60 e+ dF").state == "half_open"


@pytest.mark.parametrize(
    ("before", "ago", "retry_at"),
    [
        pytest.param(f"{OPENED} +30", 10.0, 1080.0, id="it opened later there"),
        pytest.param(f"{OPENED} +30", 40.0, 1060.0, id="it opened earlier there"),
        pytest.param(f"{OPENED} +70", 10.0, 1120.0, id="a probe failed there"),
        pytest.param(f"{OPENED} +30 trip", 0.0, None, id="forced open"),
    ],
)
def test_the_later_of_two_openings_counts_unless_forced_open(before: str, ago: float, retry_at: float | None) -> None:
    stage = Stage()
    stage.play(before)
    assert apply_remote_event(stage, "open", ago).retry_at == retry_at


@pytest.mark.parametrize(
    ("before", "ago"),
    [
        pytest.param("", 60.0, id="its cooldown is over"),
        pytest.param("trip reset +5", 6.0, id="it was reset since then"),
        pytest.param(f"{OPENED} +60 d+ dS e+ eS +5", 6.0, id="it recovered since then"),
    ],
)
def test_an_outdated_remote_opening_is_ignored(before: str, ago: float) -> None:
    stage = Stage()
    stage.play(before)
    reported = len(stage.changes)
    assert apply_remote_event(stage, "open", ago).state == "closed"
    assert len(stage.changes) == reported


def test_a_remote_opening_may_predate_the_clock() -> None:
    stage = Stage()
    stage.now = 5.0
    assert apply_remote_event(stage, "open", 20.0).retry_at == 45.0


def test_a_remote_missing_model_is_marked_here() -> None:
    stage = Stage()
    breaker = apply_remote_event(stage, "unavailable", 900.0, CHAT)
    assert (breaker.state, breaker.last) == ("unavailable", Change("missing", CHAT, remote=True))
    apply_remote_event(stage, "unavailable", 800.0, CHAT)
    apply_remote_event(stage, "unavailable", 800.0, EMBEDDINGS)
    assert len(stage.changes) == 2
    assert stage.play("aX reload a+").state == "closed"


@pytest.mark.parametrize("before", ["", OPENED, f"{OPENED} +60 d+", "a+ aM"])
def test_a_remote_trip_and_reset_are_applied(before: str) -> None:
    stage = Stage()
    stage.play(before)
    breaker = apply_remote_event(stage, "held", 3.0)
    assert (breaker.state, breaker.forced_open, breaker.reason) == ("open", True, "elsewhere")
    assert (breaker.since, breaker.last) == (stage.now - 3.0, Change("trip", remote=True))
    stage.play("+9999 xX")
    breaker = apply_remote_event(stage, "closed", 1.0)
    assert (breaker.state, breaker.forced_open, breaker.reason, breaker.failures) == ("closed", False, "", 0)
    assert breaker.last == Change("reset", remote=True)


def test_a_known_remote_trip_is_not_reported_again() -> None:
    stage = Stage()
    stage.play("trip +5")
    apply_remote_event(stage, "held", 0.0)
    assert (stage.breaker.reason, len(stage.changes)) == ("operator", 1)


def test_the_reason_is_the_last_failure_that_counted() -> None:
    stage = Stage()
    breaker = stage.play("z+ a+ aF b+ bF c+")
    breaker.fail(stage.permits["c"], stage.now, "timeout_headers")
    stage.play("zF")
    assert breaker.reason == "timeout_headers"


def test_retry_at_is_the_end_of_the_cooldown() -> None:
    stage = Stage()
    breaker = stage.play(OPENED)
    assert breaker.retry_at == 1060.0
    stage.play("+60 d+ +1")
    assert breaker.retry_at == 1060.0  # past: at any moment, when the probe is back
    stage.play("dM")
    assert Stage().play("a+ aM").retry_at is None


def test_a_cooldown_is_ended_early_unless_an_operator_opened_the_breaker() -> None:
    stage = Stage()
    breaker = stage.play(OPENED)
    end_cooldown(breaker, stage.now)
    assert breaker.acquire(CHAT, stage.now).probe
    assert not breaker.acquire(CHAT, stage.now)
    stage.play("trip")
    end_cooldown(breaker, stage.now)
    assert not breaker.admits(CHAT, stage.now)


def test_permits_have_readable_reprs() -> None:
    stage = Stage()
    stage.play(f"{OPENED} +60 d+ eX")
    assert not Permit.REFUSED
    assert stage.permits["a"] is Permit.NORMAL
    assert stage.permits["d"] >= Permit.PROBE
    assert [repr(stage.permits[name]) for name in "ade"] == ["normal", "probe 1", "refused"]
    assert repr(stage.breaker) == "<Breaker openai/gpt half_open, 3 failures, 0 successes>"


# --- reference model: the rules again, without a table ----------------------------------------------------


class Try:
    """One attempt, with the number of times that the breaker had opened when it began."""

    def __init__(self, endpoint: str, openings: int, permit: Permit) -> None:
        self.endpoint = endpoint
        self.openings = openings
        self.permit = permit


class Model:
    """Reference model of a breaker."""

    def __init__(self) -> None:
        self.openings = 0
        self.shut_at: float | None = None  # when it opened, if it has not closed since
        self.by_hand = False
        self.probed = False  # whether an attempt came after the cooldown
        self.probe: Try | None = None
        self.bad = 0
        self.good = 0
        self.gone: dict[str, tuple[float, float]] = {}  # endpoint: (end of its cooldown, its length)

    def state(self) -> str:
        if self.shut_at is not None:
            return "half_open" if self.probed else "open"
        return "unavailable" if self.gone else "closed"

    def lets_in(self, endpoint: str, now: float, policy: Policy) -> bool:
        if self.lacks(endpoint, now) or self.by_hand:
            return False
        if self.shut_at is None:
            return True
        return self.probe is None if self.probed else now >= self.shut_at + policy.cooldown

    def lacks(self, endpoint: str, now: float) -> bool:
        return endpoint in self.gone and now < self.gone[endpoint][0]

    def misses(self, endpoint: str, now: float, policy: Policy) -> None:
        if not self.lacks(endpoint, now):
            first = policy.missing_cooldown or inf
            cooldown = first if endpoint not in self.gone else min(2 * self.gone[endpoint][1], max(600.0, first))
            cooldown = cooldown if policy.missing_cooldown else inf
            self.gone[endpoint] = now + cooldown, cooldown

    def comes(self, attempt: Try) -> None:
        if self.shut_at is not None:
            if not self.probed:
                self.probed, self.good = True, 0
            self.probe = attempt

    def over(self, attempt: Try) -> None:
        if self.probe is attempt:
            self.probe = None

    def counts(self, attempt: Try) -> bool:
        return self.shut_at is None or attempt.openings == self.openings

    def shut(self, now: float) -> None:
        self.openings += 1
        self.shut_at, self.probed, self.probe, self.good = now, False, None, 0

    def commits(self, attempt: Try, policy: Policy) -> None:
        if self.probe is attempt:
            self.over(attempt)
            self.bad = 0
            self.good += 1
            if self.good >= policy.success_threshold:
                self.shut_at, self.probed, self.good = None, False, 0

    def succeeds(self, attempt: Try, now: float, policy: Policy) -> None:
        if not self.lacks(attempt.endpoint, now):
            self.gone.pop(attempt.endpoint, None)
        if self.shut_at is None:
            self.bad = 0
        self.commits(attempt, policy)

    def fails(self, attempt: Try, now: float, policy: Policy) -> None:
        self.over(attempt)
        if not self.counts(attempt):
            return
        self.bad += 1
        if self.shut_at is not None or self.bad >= policy.failure_threshold:
            self.shut(now)

    def forget_everything(self) -> None:
        openings = self.openings
        self.__init__()  # type: ignore[misc]
        self.openings = openings


ENDPOINTS = st.sampled_from([CHAT, EMBEDDINGS, MODERATIONS])
POLICIES = st.builds(
    Policy,
    st.integers(1, 3),
    st.sampled_from([0.0, 5.0, 10.0, 20.0]),
    st.integers(1, 3),
    st.sampled_from([0.0, 5.0, 20.0, 400.0, 700.0]),
)


class BreakerMachine(RuleBasedStateMachine):
    running = Bundle("running")
    streaming = Bundle("streaming")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.policy = Policy(2, 10.0, 2, 5.0)
        self.reported: State = "closed"
        self.breaker = Breaker(self.policy, "k", self.changed)
        self.model = Model()
        self.calm = 0  # attempts since the last operation from outside
        self.changed_at: float | None = None

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        assert old == self.reported
        assert breaker.last is not None
        assert old != breaker.state or breaker.last.event in (
            "missing",
            "found",
            "partly_found",
            "reload",
            "trip",
            "reset",
        )
        assert now == self.now
        if old != breaker.state:
            assert now - 15.0 <= breaker.since <= now if breaker.last.remote else breaker.since == now
            self.changed_at = breaker.since
        self.reported = breaker.state

    # Half-open is reached by few paths and left by many: random steps hardly ever reach its second probe.

    @rule(seconds=st.sampled_from([1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.model.shut_at is None)
    @rule(endpoint=ENDPOINTS)
    def everything_fails_for_a_while(self, endpoint: str) -> None:
        for _ in range(self.policy.failure_threshold):
            attempt = self.acquire(endpoint)
            if attempt is not None:
                self.it_fails(attempt)

    @precondition(lambda self: self.model.state() == "open")
    @rule(target=running, endpoint=ENDPOINTS)
    def an_attempt_comes_after_the_cooldown(self, endpoint: str) -> object:
        self.now += self.policy.cooldown
        return self.an_attempt_comes(endpoint)

    @precondition(lambda self: self.calm > 10 or self.model.by_hand)
    @rule(event=st.sampled_from(["reload", "reset", "trip"]), policy=POLICIES)
    def operation_from_outside(self, event: str, policy: Policy) -> None:
        self.calm = 0
        if event == "reload":
            self.the_configuration_is_read_again(policy)
        elif event == "reset" or self.model.by_hand:
            self.breaker.reset(self.now)
            self.model.forget_everything()
        else:
            self.the_operator_trips()

    def the_configuration_is_read_again(self, policy: Policy) -> None:
        self.breaker.policy = self.policy = policy
        self.breaker.reload(self.now)
        self.model.gone.clear()

    def the_operator_trips(self) -> None:
        self.breaker.trip(self.now, "operator")
        if self.model.state() != "open":
            self.model.shut(self.now)
        self.model.by_hand = True

    @precondition(lambda self: self.calm > 5)
    @rule(ago=st.sampled_from([0.0, 1.0, 5.0, 15.0]), endpoint=ENDPOINTS)
    def another_replica_finds_something_out(self, ago: float, endpoint: str) -> None:
        since, model = self.now - ago, self.model
        if endpoint == MODERATIONS:
            cooldown = self.policy.missing_cooldown or inf
            self.breaker.apply_remote("unavailable", self.now, since, "elsewhere", endpoint)
            if since + cooldown > max(self.now, model.gone.get(endpoint, (0.0, 0.0))[0]):
                model.gone[endpoint] = since + cooldown, cooldown
            return
        begun = model.shut_at if model.state() == "open" else self.changed_at
        stale = begun is not None and since < begun and model.state() != "unavailable"
        self.breaker.apply_remote("open", self.now, since, "elsewhere")
        if not model.by_hand and not stale and ago < self.policy.cooldown:
            model.shut(since)

    def acquire(self, endpoint: str) -> Try | None:
        expected = self.model.lets_in(endpoint, self.now, self.policy)
        permit = self.breaker.acquire(endpoint, self.now)
        assert bool(permit) is expected
        self.calm += 1
        if not expected:
            return None
        attempt = Try(endpoint, self.model.openings, permit)
        self.model.comes(attempt)
        assert permit.probe is (self.model.probe is attempt)
        return attempt

    @rule(target=running, endpoint=ENDPOINTS)
    def an_attempt_comes(self, endpoint: str) -> object:
        attempt = self.acquire(endpoint)
        return multiple() if attempt is None else attempt

    @rule(target=streaming, attempt=consumes(running))
    def it_commits(self, attempt: Try) -> Try:
        self.breaker.commit(attempt.permit, self.now)
        self.model.commits(attempt, self.policy)
        return attempt

    # Each permit ends exactly once: attempts consumed from a bundle never return to it.

    def it_ends_whole(self, attempt: Try) -> None:
        self.breaker.succeed(attempt.permit, attempt.endpoint, self.now)
        self.model.succeeds(attempt, self.now, self.policy)

    @rule(attempt=consumes(running))
    def its_answer_is_whole(self, attempt: Try) -> None:
        self.it_ends_whole(attempt)

    @rule(attempt=consumes(streaming))
    def its_stream_ends_whole(self, attempt: Try) -> None:
        self.it_ends_whole(attempt)

    def it_fails(self, attempt: Try) -> None:
        self.breaker.fail(attempt.permit, self.now, "why")
        self.model.fails(attempt, self.now, self.policy)

    # Two rules, since one rule for both bundles would fail while either is empty.

    @rule(attempt=consumes(running))
    def it_fails_before_its_commit(self, attempt: Try) -> None:
        self.it_fails(attempt)

    @rule(attempt=consumes(streaming))
    def its_stream_breaks(self, attempt: Try) -> None:
        self.it_fails(attempt)

    def its_client_leaves(self, attempt: Try) -> None:
        self.breaker.release(attempt.permit, self.now)
        self.model.over(attempt)

    @rule(attempt=consumes(running))
    def its_client_leaves_before_the_commit(self, attempt: Try) -> None:
        self.its_client_leaves(attempt)

    @rule(attempt=consumes(streaming))
    def its_client_leaves_a_silent_stream(self, attempt: Try) -> None:
        self.its_client_leaves(attempt)

    @rule(attempt=consumes(running))
    def its_model_is_missing(self, attempt: Try) -> None:
        self.breaker.release(attempt.permit, self.now)
        self.breaker.missing(attempt.endpoint, self.now)
        self.model.over(attempt)
        self.model.misses(attempt.endpoint, self.now, self.policy)

    @precondition(lambda self: self.model.gone)
    @rule(seconds=st.sampled_from([40.0, 700.0, 1400.0]))
    def a_model_may_be_there_again(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def both_say_the_same(self) -> None:
        breaker, model = self.breaker, self.model
        assert breaker.state == model.state() == self.reported
        assert (breaker.failures, breaker.successes) == (model.bad, model.good)
        assert bool(breaker.active_probe) is (model.probe is not None)
        assert {at: (mark.until, mark.cooldown) for at, mark in breaker.missing_at.items()} == model.gone
        assert all((breaker.state_at(at, self.now) == "unavailable") is model.lacks(at, self.now) for at in model.gone)

    @invariant()
    def both_admit_the_same(self) -> None:
        for endpoint in (CHAT, EMBEDDINGS, MODERATIONS):
            assert self.breaker.admits(endpoint, self.now) is self.model.lets_in(endpoint, self.now, self.policy)

    @invariant()
    def an_open_breaker_admits_from_the_moment_that_it_names(self) -> None:
        if self.breaker.state == "open":
            moment = self.breaker.retry_at
            assert (moment is None) is self.model.by_hand
            if moment is not None:
                assert self.breaker.admits(CHAT, moment) is not self.model.lacks(CHAT, moment)
                assert not self.breaker.admits(CHAT, moment - 0.5)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=200, stateful_step_count=60)
