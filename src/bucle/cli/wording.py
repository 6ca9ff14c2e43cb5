"""Values in plain words, where several commands say the same."""

from bucle.grammar import say_count
from bucle.types import Coercion

__all__ = ["tell_coercion"]


def tell_coercion(coercion: Coercion) -> str:
    """Say what was turned into what, with examples.

    Example:
        >>> tell_coercion(Coercion(column="price", count=2, examples=("N/A",)))
        "price: 2 values became null, such as 'N/A'"
    """
    shown = ", ".join(repr(example) for example in coercion.examples[:3])
    values = say_count(coercion.count, "value")
    return f"{coercion.column}: {values} became {coercion.became}, such as {shown}"
