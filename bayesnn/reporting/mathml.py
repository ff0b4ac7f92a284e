"""Formulas of the tables as MathML, which browsers draw and screen readers read without a script."""

import re
from html import escape

_TOKEN = re.compile(r"\s+|\d+(?:\.\d+)?(?:e[-+]?\d+)?|(?:[A-Za-z][A-Za-z0-9]*|σ)\(?|\S")
_NAMES = {"log", "exp", "max", "min", "mean"}
_WORDS = {"if", "else", "and", "or", "no", "scale", "loss", "root", "of", "is", "an", "output", "const"}
_OPERATORS = {
    "∣": "∣",
    "→": "→",
    "-": "−",
    "+": "+",
    "=": "=",
    "<": "<",
    ">": ">",
    "≤": "≤",
    "≥": "≥",
    ",": ",",
    "∝": "∝",
    "~": "∼",
}
_BIG = {"Σ": "∑"}
_RAISED = {"²": "2", "³": "3"}
_APPLY, _TIMES, _SPACE = "<mo>&#8289;</mo>", "<mo>&#8290;</mo>", '<mspace width="0.17em"></mspace>'


def mathml(text: str, *, block: bool = False) -> str:
    """Write a formula of the tables as MathML.

    Parameters
    ----------
    text : str
        As in `loss_table`: ``"(y - f)²"``, ``"log(s) + log(2π)/2"``; ``_`` lowers and ``^`` raises what follows.
    block : bool
        Whether the formula has a line of its own.

    Returns
    -------
    str
        A ``math`` element; what it holds is escaped.

    Examples
    --------
    >>> from bayesnn.reporting.mathml import mathml
    >>> mathml("1/s")
    '<math><mfrac><mn>1</mn><mi>s</mi></mfrac></math>'
    """
    tokens = [token for token in _TOKEN.findall(text) if not token.isspace()]
    return f"<math{' display="block"' * block}>{_row(tokens, ())}</math>"


def _row(tokens, ends):
    """Write tokens up to one that ends the row, which is left."""
    out: list[str] = []
    joined = False
    while tokens and tokens[0] not in ends:
        token = tokens[0]
        if token in _OPERATORS:
            tokens.pop(0)
            out.append(f"<mo>{escape(_OPERATORS[token])}</mo>")
            joined = False
        elif token == "/" and joined:
            tokens.pop(0)
            out[-1] = f"<mfrac>{_bare(out[-1])}{_bare(_factor(tokens, ends))}</mfrac>"
        elif token in _WORDS:
            words = []
            while tokens and tokens[0] in _WORDS:
                words.append(tokens.pop(0))
            out.append(f"<mtext>&#160;{' '.join(words)}&#160;</mtext>")
            joined = False
        elif token in _BIG:
            tokens.pop(0)
            out.append(f"<mo>{_BIG[token]}</mo>")
            joined = False
        else:
            out += [_TIMES] * joined
            out.append(_factor(tokens, ends))
            joined = True
    return "".join(out)


def _factor(tokens, ends):
    """Write one factor: a number, a name, a function of something, or what is in brackets, with its exponents."""
    if not tokens:
        return "<mrow></mrow>"
    token = tokens.pop(0)
    if token.endswith("("):
        name, inside = token[:-1], _bracket(tokens)
        if name == "sqrt":
            return _raised(f"<msqrt>{_bare(inside)}</msqrt>", tokens, ends)
        applied = f"<mrow><mi>{escape(name)}</mi>{_APPLY}{inside}</mrow>" if name else inside
        return _raised(applied, tokens, ends)
    if token in _NAMES:
        return f"<mrow><mi>{token}</mi>{_SPACE}</mrow>"
    if token == "|":
        inside = _row(tokens, ("|",))
        del tokens[:1]
        return _raised(f"<mrow><mo>|</mo>{inside}<mo>|</mo></mrow>", tokens, ends)
    kind = "mn" if token[0].isdigit() else "mi" if token.isalnum() else "mo"
    return _raised(f"<{kind}>{escape(token)}</{kind}>", tokens, ends)


def _bracket(tokens):
    """Write what stands in round brackets, of which the first has been read."""
    inside = _row(tokens, (")",))
    del tokens[:1]
    return f"<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>"


def _raised(base, tokens, ends):
    """Add the exponents and indices that follow."""
    while tokens and tokens[0] in (*_RAISED, "^", "_", "'", "!"):
        mark = tokens.pop(0)
        if mark in _RAISED:
            base = f"<msup>{base}<mn>{_RAISED[mark]}</mn></msup>"
        elif mark == "'":
            base = f"<msup>{base}<mo>′</mo></msup>"
        elif mark == "!":
            base = f"<mrow>{base}<mo>!</mo></mrow>"
        else:
            tag = "msup" if mark == "^" else "msub"
            base = f"<{tag}>{base}{_bare(_single(tokens, ends))}</{tag}>"
    return base


def _single(tokens, ends):
    """Write an exponent or index: one token, or what is in brackets."""
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        return _bracket(tokens)
    one = [tokens.pop(0)] if tokens else []
    return _factor(one, ends)


def _bare(markup):
    """Take off the brackets that a fraction, a root or an index makes needless."""
    opening, closing = "<mrow><mo>(</mo>", "<mo>)</mo></mrow>"
    if markup.startswith(opening) and markup.endswith(closing):
        inside = markup[len(opening) : -len(closing)]
        depth = 0
        for part in re.findall(re.escape(opening) + "|" + re.escape(closing), inside):
            depth += 1 if part == opening else -1
            if depth < 0:
                return markup
        return f"<mrow>{inside}</mrow>"
    return markup
