"""Sealing: what opens it, what does not, and what another cipher would have to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keyring import Keyring, Purpose, new_secret
from gateway.vault import AesGcm, Sealed, Vault, VaultError, vault_of

OLD, NEW = new_secret(), new_secret()
KEYS = Keyring.of([OLD])
ROTATED = Keyring.of([NEW, OLD])
PLAIN = "주민등록번호 900101-1234568".encode()


class Shuffled(AesGcm):
    """Another module in the place of ours, as `[review] cipher` names it."""

    name = "SHUFFLED"

    def encrypt(self, key: bytes, plain: bytes, bound_to: bytes) -> bytes:
        return super().encrypt(key, plain[::-1], bound_to)

    def decrypt(self, key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
        return super().decrypt(key, sealed, bound_to)[::-1]


@given(st.binary(max_size=5_000))
def test_what_was_sealed_is_opened_again(plain: bytes) -> None:
    vault = Vault(KEYS)
    assert vault.open(vault.seal(plain, "i/text"), "i/text") == plain


def test_each_record_has_a_key_of_its_own_and_shows_nothing() -> None:
    vault = Vault(KEYS)
    one, two = vault.seal(PLAIN, "1/text"), vault.seal(PLAIN, "1/text")
    assert one.wrapped_key != two.wrapped_key
    assert one.content != two.content
    assert "900101" not in one.content + one.wrapped_key + repr(one)
    with pytest.raises(VaultError):
        vault.open(replace(one, wrapped_key=two.wrapped_key), "1/text")


def test_a_record_opens_under_its_own_name_only() -> None:
    vault = Vault(KEYS)
    with pytest.raises(VaultError):
        vault.open(vault.seal(PLAIN, "1/text"), "2/text")


def test_a_rotated_secret_still_opens_what_the_older_one_wrapped() -> None:
    sealed = Vault(KEYS).seal(PLAIN, "1/text")
    assert Vault(ROTATED).open(sealed, "1/text") == PLAIN
    assert Vault(ROTATED).seal(PLAIN, "1/text").key_id == ROTATED.current(Purpose.CONTENT_WRAP).key_id
    with pytest.raises(VaultError):
        Vault(Keyring.of([NEW])).open(sealed, "1/text")


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    vault = Vault(KEYS)
    sealed = vault.seal(PLAIN, "1/text")
    name = data.draw(st.sampled_from(["wrapped_key", "content"]))
    text = getattr(sealed, name)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = (
        text[:place]
        + data.draw(st.sampled_from("ABZz09+/=.").filter(lambda c: c != text[place]))
        + text[place + 1 :]
    )
    with pytest.raises(VaultError):
        vault.open(Sealed(**{**_fields(sealed), name: changed}), "1/text")


def test_another_cipher_takes_the_place_of_ours_and_older_records_stay_readable() -> None:
    ours = vault_of(KEYS, None).seal(PLAIN, "1/text")
    theirs = vault_of(KEYS, "tests.test_vault:Shuffled")
    sealed = theirs.seal(PLAIN, "2/text")
    assert sealed.content.startswith("SHUFFLED.")
    assert theirs.open(sealed, "2/text") == PLAIN
    assert theirs.open(ours, "1/text") == PLAIN
    with pytest.raises(VaultError):
        Vault(KEYS).open(sealed, "2/text")


def test_a_cipher_that_is_not_there_is_named() -> None:
    with pytest.raises(VaultError, match="nowhere"):
        vault_of(KEYS, "nowhere.to.be:Found")


def _fields(sealed: Sealed) -> dict[str, str]:
    return {"key_id": sealed.key_id, "wrapped_key": sealed.wrapped_key, "content": sealed.content}
