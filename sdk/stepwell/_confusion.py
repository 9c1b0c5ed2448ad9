"""The samples of `stepwell.plot.confusion_matrix`, checked."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stepwell._frames import is_frame, read_frame
from stepwell._plot_values import classes_of, has_class, list_of, rows_of

_CALL = "confusion_matrix()"


class Samples(NamedTuple):
    """The true and the predicted class of each sample; all classes, and their names."""

    truths: list[Any]
    guesses: list[Any]
    classes: list[Any]
    names: Sequence[Any]


def confusion_pairs(
    probs: Any, y_true: Any, preds: Any, class_names: Sequence[Any] | None
) -> Samples:
    """See `confusion_matrix`.

    Raises:
        ValueError: Different numbers of samples, several values for a sample, classes of different
            kinds, or a class without a name.
    """
    truths = classes_of(y_true, f"{_CALL}: y_true", "Of one-hot rows pass y_true.argmax(axis=1)")
    names = None if class_names is None else list_of(class_names)
    if names is None and is_frame(probs) and _are_texts(truths):
        names = list(read_frame(probs).names)
    if probs is None:
        hint = "Scores of the classes are passed as probs"
        guesses = classes_of(preds, f"{_CALL}: preds", hint)
    else:
        truths, guesses = _guessed(probs, truths, names)
    if len(guesses) != len(truths):
        raise ValueError(f"{_CALL}: {len(guesses)} predictions for {len(truths)} values of y_true")
    truths, guesses = with_classes(truths, guesses, _CALL, stacklevel=4)
    found = {*truths, *guesses}
    are_texts = _are_texts(found)
    if names is None:
        try:
            classes = sorted(found)
        except TypeError:
            shown = _shown(found)
            raise ValueError(
                f"{_CALL}: the classes are of different kinds: {shown}; expected texts or numbers "
                "in both y_true and the predictions"
            ) from None
        numbered = [f"Class_{number + 1}" for number in range(len(classes))]
        return Samples(truths, guesses, classes, classes if are_texts else numbered)
    if are_texts and found <= {*names}:
        classes = list(dict.fromkeys(names))
        return Samples(truths, guesses, classes, classes)
    if are_texts and not found.isdisjoint(names):
        unnamed = found - {*names}
        raise ValueError(f"{_CALL}: class_names has no {_shown(unnamed)}")
    classes = list(range(len(names)))
    if unnamed := found - set(classes):
        raise ValueError(
            f"{_CALL}: {len(names)} class_names, so that the classes are 0 to "
            f"{len(names) - 1}; there are others: {_shown(unnamed)}"
        )
    return Samples(truths, guesses, classes, names)


def with_classes(
    truths: list[Any], guesses: list[Any], call: str, *, stacklevel: int
) -> tuple[list[Any], list[Any]]:
    """Return the samples without those whose class is None or NaN; a warning counts these."""
    pairs = [pair for pair in zip(truths, guesses, strict=True) if all(map(has_class, pair))]
    if len(pairs) == len(truths):
        return truths, guesses
    count = len(truths) - len(pairs)
    text = f"{call}: {count} of {len(truths)} samples are left out: their class is None or NaN"
    warnings.warn(text, UserWarning, stacklevel=stacklevel)
    return [one for one, _ in pairs], [other for _, other in pairs]


def _guessed(
    probs: Any, truths: list[Any], names: Sequence[Any] | None
) -> tuple[list[Any], list[Any]]:
    """Return the true classes and those with the highest score: texts if the true ones are texts.

    Samples with a NaN are left out.
    """
    try:
        scores = rows_of(probs)
    except TypeError:
        scores = []
    if not truths and not scores:
        return [], []
    if not scores or len(scores) != len(truths) or len({len(row) for row in scores}) != 1:
        raise ValueError(
            f"{_CALL}: probs has not a row for each of {len(truths)} samples with a score for each "
            "class"
        )
    whole = [at for at, row in enumerate(scores) if all(map(has_class, row))]
    if len(whole) < len(scores):
        text = f"{_CALL}: {len(scores) - len(whole)} of {len(scores)} samples are left out: NaN"
        warnings.warn(f"{text} in probs", UserWarning, stacklevel=4)
    places = [scores[at].index(max(scores[at])) for at in whole]
    truths = [truths[at] for at in whole]
    if not _are_texts(truths):
        return truths, places
    width = len(scores[0])
    if names is None or len(names) != width:
        raise ValueError(
            f"{_CALL}: y_true has texts; class_names must name the {width} columns of probs"
        )
    return truths, [names[place] for place in places]


def _are_texts(classes: Iterable[Any]) -> bool:
    """Whether the known classes are texts, and there are some."""
    known = [each for each in classes if has_class(each)]
    return bool(known) and all(isinstance(each, str) for each in known)


def _shown(values: set[Any]) -> str:
    shown = ", ".join(map(repr, sorted(values, key=str)[:5]))
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown
