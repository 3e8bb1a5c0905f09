from pathlib import Path


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
