"""The HorizontalPodAutoscaler's arithmetic, as Kubernetes documents it, and KEDA's settings of it as values. Pure.

Source: "Horizontal Pod Autoscaling" in Kubernetes' documentation (algorithm, tolerance, windows, policies). KEDA gives it the lag.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

TOLERANCE = 0.1
"""Of kube-controller-manager: a ratio this near to 1 changes nothing."""
SYNC_SECONDS = 15.0
"""Of kube-controller-manager: how often it decides. KEDA's pollingInterval only matters at zero replicas."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much may change within a time in seconds."""

    kind: Literal["Percent", "Pods"]
    value: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One ScaledObject. `target` is the lag a replica; windows are seconds."""

    minimum: int
    maximum: int
    target: float
    up: Sequence[Policy]
    down: Sequence[Policy]
    up_window: float
    down_window: float


def rules_of(scaled_object: Mapping[str, Any]) -> Rules:
    """Of a manifest. KeyError when it leaves out what the simulation would have to guess."""
    spec = scaled_object["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return Rules(
        minimum=spec["minReplicaCount"],
        maximum=spec["maxReplicaCount"],
        target=float(spec["advanced"]["scalingModifiers"]["target"]),
        up=_policies(behavior["scaleUp"]),
        down=_policies(behavior["scaleDown"]),
        up_window=float(behavior["scaleUp"]["stabilizationWindowSeconds"]),
        down_window=float(behavior["scaleDown"]["stabilizationWindowSeconds"]),
    )


def _policies(rules: Mapping[str, Any]) -> tuple[Policy, ...]:
    return tuple(Policy(policy["type"], policy["value"], float(policy["periodSeconds"])) for policy in rules["policies"])


@dataclass(slots=True)
class Autoscaler:
    """Decides every SYNC_SECONDS; remembers what it wanted and what it changed."""

    rules: Rules
    wanted: deque[tuple[float, int]] = field(default_factory=deque)
    changes: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, now: float, current: int, lag: int) -> int:
        """Replicas from now on. `lag` is what waits and what is in hand, of all lanes."""
        wished = self._stabilized(now, current, _by_lag(self.rules, current, lag))
        bounded = min(max(wished, self.rules.minimum), self.rules.maximum)
        decided = self._held_back(now, current, bounded)
        if decided != current:
            self.changes.append((now, decided - current))
        return decided

    def _stabilized(self, now: float, current: int, wished: int) -> int:
        """Up to the least, down to the most that was wished within the window."""
        self.wanted.append((now, wished))
        while self.wanted[0][0] < now - max(self.rules.up_window, self.rules.down_window):
            self.wanted.popleft()
        least = min(wish for when, wish in self.wanted if when >= now - self.rules.up_window)
        most = max(wish for when, wish in self.wanted if when >= now - self.rules.down_window)
        return min(max(current, least), most)

    def _held_back(self, now: float, current: int, wished: int) -> int:
        """The policy that allows most counts."""
        if wished > current:
            return min(wished, max(current, *(self._most(policy, now, current) for policy in self.rules.up)))
        if wished < current:
            return max(wished, min(current, *(self._least(policy, now, current) for policy in self.rules.down)))
        return current

    def _most(self, policy: Policy, now: float, current: int) -> int:
        start = current - self._changed(policy, now)
        return ceil(start * (1 + policy.value / 100)) if policy.kind == "Percent" else start + policy.value

    def _least(self, policy: Policy, now: float, current: int) -> int:
        start = current - self._changed(policy, now)
        return int(start * (1 - policy.value / 100)) if policy.kind == "Percent" else start - policy.value

    def _changed(self, policy: Policy, now: float) -> int:
        return sum(by for when, by in self.changes if when > now - policy.seconds)


def _by_lag(rules: Rules, current: int, lag: int) -> int:
    near = current and abs(lag / (rules.target * current) - 1) <= TOLERANCE
    return current if near else ceil(lag / rules.target)
