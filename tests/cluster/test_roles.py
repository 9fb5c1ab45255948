"""Who is what, from what servers tell: without servers."""

from dataclasses import replace

from lookalike.database.members import Answer, roles_of

ALL = ("a", "b", "c")


def answer(
    me, *, primary="a", executed="x:1-9", asked_at=1.0, received="", read_only=None, **states
):
    """What a server tells; states: of those that it does not see ONLINE."""
    group = {
        each: (states.get(each, "ONLINE"), "PRIMARY" if each == primary else "SECONDARY")
        for each in ALL
        if states.get(each) != "GONE"
    }
    is_read_only = me != primary if read_only is None else read_only
    return Answer(asked_at, 0.001, me, is_read_only, executed, received, group)


def alone(me, *, read_only, executed="x:1-9"):
    """What a server without a group tells."""
    return Answer(1.0, 0.001, me, read_only, executed, "", {})


def test_all_agree():
    roles = roles_of([answer("a", executed="x:1-10"), answer("b"), answer("c")])
    assert (roles.primary, roles.readers, roles.known) == ("a", {"b", "c"}, "x:1-10")


def test_a_dead_primary_is_none_until_another_is_chosen():
    """What both others have, together, is all that was acknowledged."""
    left = [
        answer("b", a="UNREACHABLE", executed="x:1-8", received="x:1-9", asked_at=3.0),
        answer("c", a="UNREACHABLE", executed="x:1-7", asked_at=2.0),
    ]
    roles = roles_of(left)
    assert (roles.primary, roles.readers) == (None, {"b", "c"})
    assert (roles.known, roles.since) == ("x:1-8,x:1-9,x:1-7", 2.0)


def test_while_the_primary_is_silent_the_word_of_the_others_counts():
    """It may be slow, or dead: what both others have is all that was acknowledged."""
    silent = replace(answer("a", executed="x:1-7", asked_at=1.0), is_latest=False)
    roles = roles_of(
        [silent, answer("b", asked_at=4.0), answer("c", asked_at=3.0, executed="x:1-8")]
    )
    assert (roles.primary, roles.readers) == ("a", {"b", "c"})
    assert (roles.known, roles.since) == ("x:1-9,x:1-8", 3.0)


def test_while_a_group_chooses_its_members_answer_searches():
    """The dead primary has been expelled, and nobody has its role yet."""
    left = [
        answer(each, primary=None, a="GONE", executed=f"x:1-{n}") for n, each in enumerate("bc", 8)
    ]
    roles = roles_of(left)
    assert (roles.primary, roles.readers, roles.known) == (None, {"b", "c"}, "x:1-8,x:1-9")
    assert roles_of(left[:1]).readers == frozenset()


def test_a_primary_that_stood_still_does_not_know_that_it_is_none():
    """It still names itself, and the two others another one."""
    new = [answer(each, primary="b", a="GONE") for each in "bc"]
    roles = roles_of([answer("a"), *new])
    assert (roles.primary, roles.readers) == ("b", {"c"})


def test_a_secondary_that_stood_still_is_no_reader():
    roles = roles_of([answer("a", c="GONE"), answer("b", c="GONE"), answer("c")])
    assert (roles.primary, roles.readers) == ("a", {"b"})


def test_a_minority_has_no_say():
    cut_off = answer("c", a="UNREACHABLE", b="UNREACHABLE")
    roles = roles_of([cut_off])
    assert (roles.primary, roles.readers, roles.known) == (None, frozenset(), None)
    assert "no majority" in roles.problem


def test_one_that_cannot_reach_the_others_has_no_say_either():
    """It does not know yet that it is cut off, and this program reaches nobody else."""
    assert roles_of([answer("c")]).readers == frozenset()


def test_a_member_that_catches_up_is_no_reader_yet():
    roles = roles_of(
        [answer("a", c="RECOVERING"), answer("b", c="RECOVERING"), answer("c", c="RECOVERING")]
    )
    assert (roles.primary, roles.readers) == ("a", {"b"})


def test_the_last_of_a_group_that_was_left_in_good_order():
    roles = roles_of([answer("a", b="GONE", c="GONE")])
    assert (roles.primary, roles.readers) == ("a", frozenset())


def test_without_a_group_the_one_that_is_not_read_only():
    roles = roles_of([alone("a", read_only=True), alone("b", read_only=False, executed="x:1-3")])
    assert (roles.primary, roles.readers, roles.known) == ("b", {"a"}, "x:1-3")


def test_without_a_group_two_that_take_writes():
    roles = roles_of([alone("a", read_only=False), alone("b", read_only=False)])
    assert roles.primary is None
    assert "several servers take writes" in roles.problem


def test_a_member_that_has_not_joined_is_no_primary_although_it_takes_writes():
    """So it is after a restart."""
    restarted = Answer(1.0, 0.001, "a", False, "x:1-9", "", {"a": ("OFFLINE", "")})
    new = [answer(each, primary="b", a="GONE") for each in "bc"]
    assert roles_of([restarted, *new]).primary == "b"
    assert roles_of([restarted]).primary is None


def test_a_group_of_several_primaries_is_refused():
    group = dict.fromkeys(ALL, ("ONLINE", "PRIMARY"))
    roles = roles_of([Answer(1.0, 0.001, each, False, "", "", group) for each in ALL])
    assert roles.primary is None
    assert "multi-primary" in roles.problem
