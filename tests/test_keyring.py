import base64
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keyring import Keyring, Purpose, SecretError, new_secret, new_secret_file, rotate_secret_file

WEAK = [
    "changeme",
    "change-me-please-change-me-please-change-me",
    "example-secret-example-secret-example-secret",
    "<your secret here>",
    "short",
    "a" * 64,
    base64.b64encode(b"\0" * 32).decode(),
    base64.b64encode(b"abcabcabcabcabcabcabcabcabcabcab").decode(),
    "not base64 at all, but long enough to be a phrase",
    "a-phrase-that-somebody-made-up-by-hand-long",
]


@pytest.mark.parametrize("secret", WEAK)
def test_a_weak_or_example_secret_is_refused_with_how_to_make_one(secret):
    with pytest.raises(SecretError) as refused:
        Keyring.of([secret])
    assert "openssl rand" in refused.value.korean
    assert "openssl rand" in refused.value.english
    assert secret not in str(refused.value)


def test_an_empty_secret_file_is_refused():
    with pytest.raises(SecretError):
        Keyring.of([])


def test_a_fresh_secret_is_strong_and_its_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "haechi.secret"
    new_secret_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(Keyring.read(path).masters) == 1
    with pytest.raises(FileExistsError):
        new_secret_file(path)


def test_a_secret_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path):
    path = tmp_path / "haechi.secret"
    new_secret_file(path)
    path.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        Keyring.read(path)


def test_a_missing_secret_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SecretError, match="haechi init"):
        Keyring.read(tmp_path / "none")


def test_hexadecimal_secrets_are_read_too():
    assert Keyring.of([bytes(range(32)).hex()]).masters == (bytes(range(32)),)


def test_every_purpose_has_its_own_key_and_every_secret_its_own_id():
    ring = Keyring.of([new_secret(), new_secret()])
    keys = {ring.current(purpose).key for purpose in Purpose}
    assert len(keys) == len(Purpose)
    newest, oldest = ring.all(Purpose.API_KEY_HASH)
    assert newest.key_id != oldest.key_id
    assert ring.by_id(Purpose.API_KEY_HASH, oldest.key_id) == oldest


def test_a_rotation_puts_a_new_key_first_and_keeps_the_old_ones_and_their_numbers(tmp_path):
    path = tmp_path / "haechi.secret"
    new_secret_file(path)
    before = Keyring.read(path)
    key_id = rotate_secret_file(path)
    after = Keyring.read(path)
    assert after.masters[1:] == before.masters
    assert after.current(Purpose.API_KEY_HASH).key_id == key_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    versions = after.by_version(Purpose.LEDGER_CHAIN)
    assert versions[1] == before.by_version(Purpose.LEDGER_CHAIN)[1]
    assert sorted(versions) == [1, 2]


def test_nothing_secret_is_printed():
    secret = new_secret()
    ring = Keyring.of([secret])
    assert ring.masters[0].hex() not in repr(ring)
    assert repr(ring.masters[0]) not in repr(ring)
    assert "key=" not in repr(ring.current(Purpose.API_KEY_HASH))


@given(st.binary(min_size=32, max_size=64))
def test_only_random_looking_bytes_are_taken(master):
    text = base64.urlsafe_b64encode(master).decode()
    if len(set(master)) >= 16 and sum(letter.isupper() for letter in text) >= 3:
        assert Keyring.of([text]).masters == (master,)
    else:
        with pytest.raises(SecretError):
            Keyring.of([text])
