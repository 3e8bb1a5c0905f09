from pathlib import Path

from gateway.demo import data


def test_models_are_listed_with_where_they_run(installed, haechi):
    (row,) = haechi("models", "list", "--json").ok().json
    assert (row["id"], row["name"], row["zones"], row["simulated"]) == (
        "city-llm",
        "시 모델",
        ["in_house"],
        False,
    )
    out = haechi("models", "list").ok().out
    assert "시 모델" in out
    assert "내부" in out


def test_a_simulated_model_is_marked_wherever_it_is_shown(installed, haechi):
    config = Path("haechi.toml")
    config.write_text(config.read_text().replace('name = "city"', 'name = "city"\nsimulated = true'))
    assert "simulated" in haechi("models", "list").ok().out
    assert "simulated" in haechi("models", "show", "city-llm").ok().out


def test_a_price_says_whether_anybody_verified_it(installed, haechi):
    rows = haechi("models", "price", "city-llm", "--json").ok().json
    assert {row["class"]: row["price"] for row in rows} == {"input": "100", "output": "300"}
    assert {row["verified"] for row in rows} == {False}
    out = haechi("models", "price", "city-llm").ok().out
    assert "unverified" in out
    assert "https://example.go.kr/prices" in out


def test_an_unknown_model_gets_a_suggestion(installed, haechi):
    wrong = haechi("models", "show", "city-lm")
    assert wrong.code == 2
    assert "'city-llm'?" in wrong.err


def test_the_demo_s_models_show_what_they_can_do_and_cost_by_their_own_units(haechi):
    Path("demo.toml").write_text(data.catalogue("http://127.0.0.1:1", "http://127.0.0.1:2"))
    rows = {row["id"]: row for row in haechi("models", "list", "--json", "--config", "demo.toml").ok().json}
    assert len(rows) == 29
    assert rows["veo-3.1"]["kind"] == "video"
    assert rows["gpt-image-2.5"]["capabilities"] == ["image", "vision"]
    assert "그림" in haechi("models", "show", "grok-imagine", "--config", "demo.toml").ok().out
    units = {}
    for model in ("gpt-image-2.5", "grok-imagine", "veo-3.1", "tts-1", "gpt-transcribe", "embed-4"):
        prices = haechi("models", "price", model, "--json", "--config", "demo.toml").ok().json
        assert all(price["source"] and price["checked"] == "2026-11-22" for price in prices)
        units[model] = {price["class"]: price["unit"] for price in prices}
    assert units["grok-imagine"] == {"images": "1장"}
    assert units["tts-1"] == {"characters": "1,000,000자"}
    assert units["gpt-transcribe"] == {"audio_ms": "1초"}
    assert units["embed-4"] == {"input": "1,000,000토큰"}
    every = haechi("models", "price", "--json", "--config", "demo.toml").ok().json
    assert {price["model"] for price in every} == rows.keys()
    assert all(price["source"] and price["checked"] for price in every)
    films = haechi("models", "price", "veo-3.1", "--json", "--config", "demo.toml").ok().json
    assert [(film["where"], film["price"]) for film in films] == [("", "0.4"), ("3840x2160", "0.6")]


def test_prices_of_all_models_name_the_ones_without_and_show_the_others(installed, haechi):
    config = Path("haechi.toml")
    config.write_text(config.read_text().replace("\nfrom = 2026-01-01", "\nfrom = 2199-01-01"))
    ran = haechi("models", "price")
    assert ran.code == 1
    assert "city-llm@" in ran.err
    assert "haechi prices import" in ran.err
