from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.client.addresses import checked_api_key, path_of, with_query


@pytest.mark.parametrize("wrong", ["s3cret\n", " s3cret", "s3cret\r\nx: y", "s3crét"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="LUME_API_KEY") as refused:
        checked_api_key(wrong)
    assert "s3cr" not in str(refused.value)


def test_an_empty_key_is_none() -> None:
    assert checked_api_key("") is None
    assert checked_api_key("abc") == "abc"


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda s: s not in (".", ".."))


@given(name=names)
def test_a_segment_stays_one_segment_all_the_way_to_the_wire(name: str) -> None:
    url = httpx.URL("http://lume" + path_of("v1", "runs", name))
    before, _, last = url.raw_path.decode().rpartition("/")
    assert before == "/v1/runs"
    assert unquote(last) == name


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_segments_that_mean_another_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no id or name"):
        path_of("v1", "runs", name)


@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_query_values_arrive_as_given(value: str) -> None:
    url = httpx.URL(with_query("http://lume/v1/runs", {"source_path": value, "status": None, "page": 2}))
    query = urlsplit(str(url)).query
    assert parse_qsl(query, keep_blank_values=True) == [("source_path", value), ("page", "2")]


def test_no_query_no_question_mark() -> None:
    assert with_query("/v1/runs", {"status": None}) == "/v1/runs"
