"""`watch`: gradients and parameters of torch modules as histograms.

A hook on each parameter sees its gradient in every backward pass, before it is accumulated, as with
Weights & Biases. Each counts by itself; at every ``log_freq``-th pass the histogram is computed at
once, on the gradient's device. When the pass ends, those of all gradients are written together, in
the row that the next `log` closes, and with them those of the parameters.

A model has no hook of ours on its forward pass, so `torch.compile` and passes without gradients
are not affected. Only a model without any parameter that requires a gradient has one.
"""

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

from stepwell._histogram import BINS_DEFAULT
from stepwell._names import Warn, metric_name
from stepwell._tensors import TensorHistograms

_KINDS: Final = {
    "gradients": (True, False),
    "parameters": (False, True),
    "all": (True, True),
    None: (False, False),
}

Write = Callable[[dict[str, dict[str, Any]]], None]
"""Writes histograms by name; nothing after the end of the run."""


class Watches:
    """The watched models of one run."""

    def __init__(self, write: Write, warn: Warn) -> None:
        self._write = write
        self._warn = warn
        self._next_index = 0
        self._held: list[Watch] = []

    def add(self, models: Any, log: str | None, log_freq: int, index: int | None) -> None:
        """Watch one or more models; see `Run.watch`."""
        if log not in _KINDS:
            raise ValueError(
                f"watch: log must be 'gradients', 'parameters', 'all' or None, not {log!r}"
            )
        if isinstance(log_freq, bool) or not isinstance(log_freq, int) or log_freq < 1:
            raise ValueError(f"watch: log_freq must be an integer of 1 or more, not {log_freq!r}")
        wanted = _modules(models, "watch")
        for at, model in enumerate(wanted):
            if self._find(model) is not None or any(model is each for each in wanted[:at]):
                raise ValueError(
                    f"watch: this {type(model).__name__} is already watched; pass all models "
                    "in one call, once each, or call unwatch() first"
                )
        first = self._next_index if index is None else index
        gradients, parameters = _KINDS[log]
        for number, model in enumerate(wanted, start=first):
            prefix = f"graph_{number}" if number > 0 else ""
            watch = Watch(model, prefix, log_freq, self._write, self._warn)
            watch.begin(model, gradients=gradients, parameters=parameters)
            self._held.append(watch)
        self._next_index += len(wanted)

    def remove(self, models: Any = None) -> None:
        """Stop watching ``models``, without any all of them; others are ignored."""
        found = (
            list(self._held)
            if models is None
            else [each for model in _modules(models, "unwatch") if (each := self._find(model))]
        )
        for watch in found:
            watch.end()
            self._held.remove(watch)

    def _find(self, model: Any) -> "Watch | None":
        return next((each for each in self._held if each.model is model), None)


class Watch:
    """One watched model, without a reference to it: its hooks end with the model."""

    def __init__(self, model: Any, prefix: str, log_freq: int, write: Write, warn: Warn) -> None:
        self._model = weakref.ref(model)
        self._prefix = prefix
        self._log_freq = log_freq
        self._write = write
        self._warn = warn
        self._lock = threading.RLock()
        self._gathered = TensorHistograms(BINS_DEFAULT)
        self._removals: list[Callable[[], None]] = []
        self._with_parameters = False
        self._is_due = False  # The end of this backward pass must write.

    @property
    def model(self) -> Any:
        return self._model()

    def begin(self, model: Any, *, gradients: bool, parameters: bool) -> None:
        self._with_parameters = parameters
        trained = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        if gradients:
            for name, parameter in trained:
                self._hook_parameter(parameter, name)
        elif parameters and trained:
            self._hook_parameter(trained[-1][1], None)
        if parameters and not trained:
            handle = model.register_forward_hook(_of_forward(self))
            self._removals.append(handle.remove)

    def end(self) -> None:
        """Write the gathered histograms, and remove all hooks."""
        with self._lock:
            removals, self._removals = self._removals, []
            for remove in removals:
                remove()
            self._guarded(self._flush)

    # ------------------------------------------------------------------ hooks

    def _hook_parameter(self, parameter: Any, name: str | None) -> None:
        """Look at each gradient of ``parameter``; ``name`` None only counts the passes."""
        had_hooks = parameter._backward_hooks is not None
        handle = parameter.register_hook(_of_gradient(self, name))
        held = weakref.ref(parameter)

        def remove() -> None:
            handle.remove()
            left = held()
            if left is not None and not had_hooks and not left._backward_hooks:
                left._backward_hooks = None

        self._removals.append(remove)

    def take_gradient(self, name: str | None, gradient: Any) -> None:
        """Take the gradient of a pass that is logged."""
        with self._lock:
            key = None if name is None else self._key("gradients", name)
            if key is not None and key in self._gathered:
                self._flush()  # The previous pass did not finish.
            if key is not None:
                self._gathered.add(key, gradient)
            if self._is_due and key is not None:
                return
            self._is_due = True
            if not _at_end_of_backward(self.end_of_pass):
                self.end_of_pass()

    def end_of_pass(self) -> None:
        """Write the histograms of the pass, and those of the current parameters."""
        self._guarded(self._write_pass)

    def _write_pass(self) -> None:
        with self._lock:
            model = self.model
            if self._with_parameters and model is not None and self._removals:
                for name, parameter in model.named_parameters():
                    self._gathered.add(self._key("parameters", name), parameter)
            self._flush()

    def _flush(self) -> None:
        self._is_due = False
        if histograms := dict(self._gathered.take()):
            self._write(histograms)

    def _key(self, kind: str, name: str) -> str:
        return metric_name(f"{kind}/{self._prefix}", name, self._warn)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do ``work``; an error is reported once and does not end the training."""
        try:
            work()
        except Exception as error:  # Unusual tensors, or a device without free memory.
            self.fail(error)

    def fail(self, error: Exception) -> None:
        self._warn(
            "watch", f"watch: a histogram failed and is left out: {type(error).__name__}: {error}"
        )


def _of_gradient(watch: Watch, name: str | None) -> Callable[[Any], None]:
    """Return the hook of one parameter; it keeps the gradient as it is."""
    count = 0
    log_freq = watch._log_freq

    def look(gradient: Any) -> None:
        nonlocal count
        count += 1
        if count < log_freq:
            return
        count = 0
        try:
            watch.take_gradient(name, gradient)
        except Exception as error:  # Training continues with any gradient.
            watch.fail(error)

    look.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return look


def _of_forward(watch: Watch) -> Callable[..., None]:
    import torch

    count = 0
    log_freq = watch._log_freq

    def look(*_: Any) -> None:
        nonlocal count
        if torch.compiler.is_compiling():
            return  # A compiled forward pass would have the traced values, not the real ones.
        count += 1
        if count >= log_freq:
            count = 0
            watch.end_of_pass()

    return look


def _at_end_of_backward(call: Callable[[], None]) -> bool:
    """Call ``call`` at the end of the current backward pass; False if there is none."""
    import torch

    try:
        torch.autograd.Variable._execution_engine.queue_callback(call)
    except (AttributeError, RuntimeError):
        return False
    return True


def _modules(models: Any, call: str) -> list[Any]:
    torch = sys.modules.get("torch")
    kind = getattr(getattr(torch, "nn", None), "Module", None)
    found = list(models) if isinstance(models, list | tuple) else [models]
    for model in found:
        if kind is None or not isinstance(model, kind):
            raise TypeError(
                f"{call}: expected a torch.nn.Module, or a list or tuple of them, "
                f"not {type(model).__name__}"
            )
    return found
