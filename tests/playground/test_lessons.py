"""The five lessons: what they set up, what they wait for, and the number that they answer with."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bayesnn.playground.found import Found
from bayesnn.playground.lessons import LESSONS, Course, apart, first_share, lesson_of, mirrors, norm, steepest
from bayesnn.playground.settings import Settings


def point(*mean, **weights):
    return SimpleNamespace(mean=np.array(mean), weights={k: np.array(v) for k, v in weights.items()})


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda x: x.title)
def test_a_lesson_begins_with_a_page_that_an_address_can_hold(lesson):
    assert Settings.from_query(lesson.start.to_query()) == lesson.start
    assert not lesson.moved(lesson.start)
    assert lesson.question.endswith("?")


def test_the_second_mode_is_the_reference_of_the_theory_room():
    from bayesnn.theory.references import _SPECS

    reference = _SPECS["two functions, 80 to 20"]
    start = LESSONS[4].start
    assert start.net == reference[0]
    np.testing.assert_array_equal(start.X[:, 0], reference[1])
    np.testing.assert_array_equal(start.y, reference[2])


def test_the_numbers_are_those_of_the_answers():
    found = Found(Settings())
    assert [f(found) for f in (apart, steepest, norm, mirrors, first_share)] == [None] * 5
    found.mle, found.map = point(0.0, 1.0), point(0.0, 3.0, W1=[3.0], b1=[4.0], noise=[9.0])
    assert apart(found) == pytest.approx(np.sqrt(2))
    assert steepest(found) == 3.0
    assert norm(found) == 5.0
    found.plane = SimpleNamespace(copies=8)
    assert mirrors(found) == 8
    found.posterior = SimpleNamespace(shares=((0.2, 0.01), (0.8, 0.01)))
    assert first_share(found) == 0.8


def test_a_course_waits_for_the_move_and_answers_with_both_numbers():
    course = Course(LESSONS[0])
    found = Found(LESSONS[0].start)
    assert course.look(found) == f"Wait for the fits, then: {LESSONS[0].task}"
    found.mle, found.map = point(0.0, 0.0), point(0.31, 0.31)
    assert course.look(found) == LESSONS[0].task
    moved = Found(LESSONS[0].start.with_(n=40))
    assert course.look(moved) == "Wait for the fits."
    moved.mle, moved.map = point(0.0, 0.0), point(0.02, 0.02)
    assert course.look(moved).startswith(
        "At 40 rows the MAP is 0.02 from the MLE; at 5 it was 0.31: the prior has lost"
    )
    moved.map = point(0.3, 0.3)
    assert "still has its say" in course.look(moved)


def test_who_moves_before_the_first_number_is_told():
    found = Found(LESSONS[0].start.with_(n=40))
    found.mle, found.map = point(0.0, 0.0), point(0.02, 0.02)
    assert "choose the lesson again" in Course(LESSONS[0]).look(found)


@pytest.mark.parametrize(
    ("number", "move", "said"),
    [
        (2, {"sd": 20.0}, "it follows the noise"),
        (3, {"sd": 10.0}, "a norm of 2;"),
        (4, {"hidden": 3}, "3 units with tanh have 2 mirror images, by permutations and sign flips"),
        (4, {"activation": "relu"}, "by permutations of"),
        (5, {"sd": 1.0}, "holds 200% of the posterior; before it was 100%"),
    ],
)
def test_every_lesson_answers(number, move, said):
    lesson = replace(LESSONS[number - 1], measure=lambda found: 1.0 if found.settings == lesson.start else 2.0)
    course = Course(lesson)
    course.look(Found(lesson.start))
    assert said in course.look(Found(lesson.start.with_(**move)))


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("5", 5), ("6", None), ("0", None), ("", None), ("²", None)])
def test_a_lesson_of_an_address_is_a_small_number(text, number):
    assert lesson_of(text) == number
