from worker.managers import ManagerList


def test_AGT_08_a_manager_that_failed_goes_to_the_end():
    managers = ManagerList(["a", "b", "c", "a"])
    assert managers.next() == "a"
    managers.failed("a")
    managers.failed("b")
    assert managers.addrs == ("c", "a", "b")


def test_AGT_08_who_leads_is_asked_first_from_then_on():
    managers = ManagerList(["a", "b", "c"])
    managers.leads("c")
    assert managers.addrs == ("c", "a", "b")


def test_AGT_08_a_leader_that_is_named_is_asked_at_once_also_if_it_was_unknown():
    managers = ManagerList(["a", "b"])
    assert managers.not_leader("a", "new")
    assert managers.addrs == ("new", "b", "a")


def test_AGT_08_the_one_that_just_failed_is_not_asked_on_a_followers_word():
    managers = ManagerList(["a", "b", "c"])
    managers.failed("a")
    assert not managers.not_leader("b", "a")
    assert managers.next() == "c"
    managers.leads("c")
    assert managers.not_leader("c", "a")


def test_a_follower_that_knows_no_leader_is_not_asked_again_at_once():
    managers = ManagerList(["a", "b"])
    assert not managers.not_leader("a", "")
    assert managers.next() == "b"


def test_the_leaders_list_replaces_ours_in_our_order():
    managers = ManagerList(["a", "b", "c"])
    assert managers.replace(["d", "c", "b"])
    assert managers.addrs == ("b", "c", "d")
    assert not managers.replace(["b", "d", "c"])
    assert not managers.replace([])


def test_without_a_manager_there_is_none_to_ask():
    managers = ManagerList([])
    assert managers.next() == ""
    managers.replace(["a"])
    assert managers.next() == "a"
