"""Any numbers: they come back from their scaling and from files as they were."""

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.data import Scaling
from bayesnn.data.dialect import dialect_of

SHAPES = st.tuples(st.integers(2, 12), st.integers(1, 4))


def tables(most):
    return SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-most, most)))


@given(tables(1e6), st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_scaling_is_undone(X, width, centre):
    X = X + 1e7 * np.arange(len(X))[:, None]
    y = centre + width * np.arange(len(X)) ** 2
    scaling = Scaling.fit(X, y)
    size = np.abs(X).max()
    assert_allclose(scaling.inverse_X(scaling.transform_X(X)), X, rtol=1e-12, atol=1e-12 * size)
    assert_allclose(scaling.inverse_y(scaling.transform_y(y)), y, rtol=1e-9, atol=1e-9 * np.abs(y).max())
    assert_allclose(scaling.transform_X(X).mean(axis=0), 0.0, atol=1e-6)
    assert_allclose(scaling.transform_X(X).std(axis=0), 1.0, rtol=1e-9)
    assert Scaling.from_json(scaling.to_json()) == scaling
    assert_allclose(scaling.log_y_sd, np.log(y.std()), rtol=1e-9, atol=1e-9)


@given(tables(1e150), st.sampled_from(",;\t|"), st.sampled_from(".,"), st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_gives_its_numbers_back(tmp_path, X, sep, decimal, told):
    # Numbers with an exponent and others, all of them with a decimal sign.
    X = np.where(np.round(X) == X, X + 0.5, X)
    assume(np.ptp(X, axis=0).min() > 1e-100)
    names = [f"c{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names).assign(y=np.arange(len(X)) + 0.25)
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False, sep=sep, decimal=decimal)
    known = {"sep": sep, "decimal": decimal} if told else {}
    data = bnn.load_data(path, target="y", test_size=0, scale=False, **known)
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, frame["y"])
    frame.to_csv(path, index=False)
    np.testing.assert_array_equal(bnn.load_data(path, target="y", test_size=0, scale=False).X, X)


WORDS = st.text("abcxyz ()", min_size=1, max_size=6).filter(str.strip)


@given(st.lists(WORDS, min_size=2, max_size=5), st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=5), st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_inferred_is_what_was_written(names, numbers, data):
    sep, decimal = data.draw(st.sampled_from(((",", "."), (";", "."), (";", ","), ("\t", ","), ("|", "."))))
    numbers = [0.5, *(round(number, 2) for number in numbers)]
    row = sep.join(str(numbers[k % len(numbers)]).replace(".", decimal) for k in range(len(names)))
    found = dialect_of(f"{sep.join(names)}\n{row}\n{row}\n", "rows.csv")
    assert (found.sep, found.decimal) == (sep, decimal)
