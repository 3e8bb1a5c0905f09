from gateway import passwords
from gateway.accounts import password_problem


def test_a_password_belongs_to_its_hash_and_to_no_other():
    stored = passwords.hashed("Zxkdlm1!9")
    assert stored.startswith("$argon2id$")
    assert "Zxkdlm1!9" not in stored
    assert passwords.matches(stored, "Zxkdlm1!9")
    assert not passwords.matches(stored, "zxkdlm1!9")
    assert not passwords.matches("not a hash", "Zxkdlm1!9")
    assert not passwords.matches(passwords.NOBODY, "")


def test_a_weaker_hash_is_known_as_such():
    weak = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
    assert passwords.outdated(weak)
    assert not passwords.outdated(passwords.hashed("x"))


def test_first_passwords_keep_every_rule_of_what_is_guessed_and_never_repeat():
    made = [passwords.first_password() for _ in range(200)]
    assert len(set(made)) == 200
    assert {password_problem(password, login="") for password in made} == {None}
