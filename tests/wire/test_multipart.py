from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Iterable

import aiohttp
import pytest
from aiohttp.abc import AbstractStreamWriter
from hypothesis import example, given
from hypothesis import strategies as st
from python_multipart.multipart import parse_options_header

from proxy.wire.multipart import MAX_PARTS, BadMultipart, DuplicateField, FieldScanner, boundary_of

BOUNDARY = b"----b0undary"
MODEL = b'Content-Disposition: form-data; name="model"'
FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
# Text that looks like the field, inside a file.
DECOY = b'\r\n------b0undar\r\nContent-Disposition: form-data; name="model"\r\n\r\ndecoy\r\n----b0undary\r\n--\r\n'


def body_of(*parts: tuple[bytes, bytes], end: bytes = b"--\r\n") -> bytes:
    """Parts of (header lines, content)."""
    written = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (BOUNDARY, head, content) for head, content in parts]
    return b"".join(written) + b"--" + BOUNDARY + end


def scan(chunks: Iterable[bytes], boundary: bytes = BOUNDARY, **options: int) -> FieldScanner:
    scanner = FieldScanner(boundary, **options)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner


def split(body: bytes, at: Iterable[int]) -> list[bytes]:
    return [body[begin:end] for begin, end in itertools.pairwise([0, *sorted(at), len(body)])]


def outcome(chunks: Iterable[bytes]) -> tuple[str | None, tuple[int, int] | None, bool] | type[Exception]:
    try:
        scanner = scan(chunks)
    except (BadMultipart, DuplicateField) as exc:
        return type(exc)
    return scanner.value, scanner.span, scanner.ended


CONTENTS = (
    st.lists(
        st.sampled_from(
            [
                b"x",
                b"\r",
                b"\n",
                b"\r\n",
                b"-",
                b"--",
                BOUNDARY,
                BOUNDARY[:5],
                DECOY,
                b"\r\n--" + BOUNDARY[:-1],
                b"\xff",
            ]
        ),
        max_size=8,
    )
    .map(b"".join)
    .filter(lambda content: b"\r\n--" + BOUNDARY not in b"\r\n" + content + b"\r\n")
)
VALUES = st.sampled_from([b"", b"whisper-1", b"\r\n", b"\r", b"-\r\n--\r\n---", "größe".encode(), b"\r\n------b0"])
OTHERS = st.builds(lambda content: (FILE, content), CONTENTS)
HEADS = st.sampled_from(
    [
        MODEL,
        b"content-disposition:form-data;name=model",
        b'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"; x="a;b\\"c"',
        b'Content-Disposition:  form-data ; name = "model" ;\r\nContent-Type: text/plain',
    ]
)


@given(
    st.lists(OTHERS, max_size=2),
    HEADS,
    VALUES,
    st.lists(OTHERS, max_size=2),
    st.lists(st.integers(0, 2000), max_size=5),
)
@example([(FILE, DECOY)], MODEL, b"\r\n--", [], [])
def test_the_field_is_found_at_any_place_and_for_any_chunks(
    before: list[tuple[bytes, bytes]],
    head: bytes,
    value: bytes,
    after: list[tuple[bytes, bytes]],
    cuts: list[int],
) -> None:
    body = body_of(*before, (head, value), *after)
    expected = (value.decode(), True)
    for chunks in (
        [body],
        [body[at : at + 1] for at in range(len(body))],
        split(body, [cut % len(body) for cut in cuts]),
    ):
        scanner = scan(chunks)
        assert (scanner.value, scanner.ended) == expected
        assert scanner.span is not None
        begin, end = scanner.span
        assert body[begin:end] == value
        assert body[:begin].endswith(head + b"\r\n\r\n")


@pytest.mark.parametrize("value", [b"whisper-1", b"", b"\r\n--", b"\r\n------b0undar"])
def test_a_cut_at_any_byte_changes_nothing(value: bytes) -> None:
    body = body_of((FILE, DECOY), (MODEL, value), (FILE, b"\r\n"))
    whole = outcome([body])
    assert isinstance(whole, tuple)
    assert whole[0] == value.decode()
    for at in range(len(body) + 1):
        assert outcome(split(body, [at])) == whole


ANYTHING = st.lists(
    st.sampled_from(
        [
            b"--" + BOUNDARY,
            b"\r\n",
            b"--",
            MODEL,
            FILE,
            b"a: b",
            b"a:",
            b":",
            b"whisper-1",
            b"\0",
            b"\xff",
            b" ",
            b"\r",
            b"\n",
        ]
    ),
    max_size=14,
).map(b"".join)


@given(ANYTHING | st.binary(max_size=60), st.lists(st.integers(0, 300), max_size=4))
def test_invalid_forms_give_the_same_error_for_any_chunks(body: bytes, cuts: list[int]) -> None:
    whole = outcome([body])
    assert outcome([body[at : at + 1] for at in range(len(body))]) == whole
    assert outcome(split(body, [cut % (len(body) + 1) for cut in cuts])) == whole


class Sink(AbstractStreamWriter):
    """What a client writes, kept."""

    def __init__(self) -> None:
        self.written = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:  # type: ignore[override]
        self.written += chunk

    async def write_eof(self, chunk: bytes = b"") -> None: ...

    async def drain(self) -> None: ...

    def enable_compression(self, *args: object, **kwargs: object) -> None: ...

    def enable_chunking(self) -> None: ...

    async def write_headers(self, *args: object) -> None: ...


@pytest.mark.parametrize("first", [True, False], ids=["model first", "model last"])
async def test_bodies_of_aiohttp_are_read(first: bool) -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    if first:
        form.add_field("model", "gpt-4o-transcribe")
    form.add_field("file", io.BytesIO(DECOY * 10), filename="ü größe.wav", content_type="audio/wav")
    form.add_field("language", "de")
    if not first:
        form.add_field("model", "gpt-4o-transcribe")
    payload = form()
    sink = Sink()
    await payload.write(sink)
    body = bytes(sink.written)
    boundary = boundary_of(payload.content_type)
    assert boundary is not None
    for step in (1, 7, len(body)):
        scanner = scan((body[at : at + step] for at in range(0, len(body), step)), boundary)
        assert (scanner.value, scanner.ended) == ("gpt-4o-transcribe", True)
        assert scanner.span is not None
        assert body[slice(*scanner.span)] == b"gpt-4o-transcribe"


def test_the_value_is_known_at_the_end_of_its_part() -> None:
    body = body_of((MODEL, b"whisper-1"), (FILE, b"x" * 1000))
    scanner = FieldScanner(BOUNDARY)
    at = body.index(FILE)
    scanner.feed(body[: at - 4])
    assert scanner.value is None
    assert scanner.span is None
    scanner.feed(body[at - 4 : at])
    assert scanner.value == "whisper-1"
    assert not scanner.ended


def test_a_body_without_the_field_ends_without_a_value() -> None:
    scanner = scan([body_of((FILE, DECOY), (b'Content-Disposition: form-data; name="Modell"', b"x"))])
    assert (scanner.value, scanner.span, scanner.ended) == (None, None, True)


def test_a_body_without_any_part_ends_too() -> None:
    scanner = scan([b"--" + BOUNDARY + b"--\r\n"])
    assert (scanner.value, scanner.ended) == (None, True)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_line_ends_before_the_first_part_are_skipped_and_counted(step: int) -> None:
    body = b"\r\n\n" + body_of((MODEL, b"a"))
    scanner = scan(body[at : at + step] for at in range(0, len(body), step))
    assert scanner.span is not None
    assert body[slice(*scanner.span)] == b"a"


def test_the_parser_logs_nothing_of_malformed_forms(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(BadMultipart):
        scan([b"garbage"])
    assert caplog.records == []


def test_a_form_has_a_bounded_number_of_parts() -> None:
    part = (b"Content-Disposition: form-data; name=a", b"")
    assert scan([body_of(*[part] * MAX_PARTS)]).ended
    with pytest.raises(BadMultipart, match="more than 1000 parts"):
        scan([body_of(*[part] * (MAX_PARTS + 1))])


def test_another_field_can_be_searched() -> None:
    scanner = FieldScanner(BOUNDARY, name="stream")
    scanner.feed(body_of((MODEL, b"whisper-1"), (b"Content-Disposition: form-data; name=stream", b"true")))
    assert scanner.value == "true"


@pytest.mark.parametrize("disposition", [b'; filename="m.txt"', b'; filename=""', b"; filename*=utf-8''m.txt"])
def test_a_file_of_that_name_is_refused(disposition: bytes) -> None:
    with pytest.raises(BadMultipart, match="must not be a file"):
        scan([body_of((MODEL + disposition, b"x" * 5000), (MODEL, b"whisper-1"))])


@pytest.mark.parametrize("name", ["Model", "MODEL", "model[]", "model[0]", " model", "model "])
def test_another_spelling_of_the_name_is_refused(name: str) -> None:
    with pytest.raises(BadMultipart, match="must be spelled 'model'"):
        scan([body_of((MODEL, b"whisper-1"), (b'Content-Disposition: form-data; name="%b"' % name.encode(), b"x"))])


@pytest.mark.parametrize("between", [[], [(FILE, b"x" * 10_000)]], ids=["next", "later"])
@pytest.mark.parametrize("step", [1, 100_000])
def test_a_second_field_of_that_name_is_refused(between: list[tuple[bytes, bytes]], step: int) -> None:
    body = body_of((MODEL, b"a"), *between, (b'Content-Disposition: form-data; NAME="mod\\el"', b"a"))
    with pytest.raises(DuplicateField):
        scan(body[at : at + step] for at in range(0, len(body), step))


@pytest.mark.parametrize("end", range(0, 300, 7))
def test_a_truncated_body_has_not_ended(end: int) -> None:
    body = body_of((MODEL, b"whisper-1"), (FILE, b"x" * 200))
    assert end < len(body)
    assert not scan([body[:end]]).ended
    assert not scan([body[:-4]]).ended


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_form_after_the_closing_boundary_is_refused(step: int) -> None:
    """PHP reads on for parts after the closing boundary."""
    body = body_of((FILE, DECOY), (MODEL, b"a")) + body_of((MODEL, b"b"))
    with pytest.raises(BadMultipart, match="after the closing boundary"):
        scan(body[at : at + step] for at in range(0, len(body), step))
    with pytest.raises(BadMultipart, match="after the closing boundary"):
        scan([body_of((MODEL, b"a")), body_of((MODEL, b"b"))])


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_blank_lines_after_the_closing_boundary_pass(step: int) -> None:
    body = body_of((FILE, DECOY), (MODEL, b"a"), end=b"--\r\n\r\n \n")
    scanner = scan(body[at : at + step] for at in range(0, len(body), step))
    assert (scanner.value, scanner.ended) == ("a", True)


AMBIGUOUS = [
    rb'name="x"; filename="\\"; b="; name=model; c="',  # Python counts quotes without a backslash in front
    rb'name="x"; b="\\"; c="; name=model; d="',
    b'filename="; name=model"; name="x"',  # a search for the first name takes what is in the quotes
    b"name='model'",
    b"name=<model>",
    b'name="<model>"',
    b'name="%6dodel"',
    b'name="=?utf-8?B?bW9kZWw=?="',  # Commons FileUpload decodes encoded words
]


@pytest.mark.parametrize("disposition", AMBIGUOUS)
def test_a_name_that_parsers_read_differently_is_refused(disposition: bytes) -> None:
    with pytest.raises(BadMultipart, match="one plain name"):
        scan([body_of((MODEL, b"a"), (b"Content-Disposition: form-data; " + disposition, b"b"))])


def test_starlettes_parser_finds_a_name_within_quotes() -> None:
    """The premise of the test above: most servers of audio models read their forms so."""
    assert parse_options_header(b"form-data; " + AMBIGUOUS[0])[1][b"name"] == b"model"


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "image[]", "file", "x-y.z", "extra[0][a]"])
def test_usual_names_of_fields_pass(name: str) -> None:
    head = b'Content-Disposition: form-data; name="%b"; filename="my \\"model\\" name.wav"' % name.encode()
    assert scan([body_of((head, b"x"), (MODEL, b"a"))]).value == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"\r\npreamble\r\n" + body_of((MODEL, b"a")),
        b'{"model":"whisper-1"}',
        b"--other\r\n" + MODEL + b"\r\n\r\na\r\n--other--\r\n",
        b"--" + BOUNDARY + b"\n" + MODEL + b"\n\na\n",
        body_of((b"X: y", b"a")),
        body_of((b"no colon", b"a")),
        body_of((MODEL + b"\r\n" + MODEL, b"a")),
        body_of((b'Content-Disposition: attachment; name="model"', b"a")),
        body_of((b"Content-Disposition: form-data", b"a")),
        body_of((b"Content-Disposition: form-data; name*=utf-8''model", b"a")),
        body_of((MODEL + b"; name*=utf-8''other", b"a")),
        body_of((MODEL + b'; name="other"', b"a")),
        body_of((b'Content-Disposition: form-data; name="model', b"a")),
        body_of((b'Content-Disposition: form-data; name="a"b; name=model', b"a")),
        body_of((MODEL + b"\r\nContent-Transfer-Encoding: base64", b"d2hpc3Blcg==")),
        body_of((MODEL + b"\r\nX-Empty:", b"a")),
        body_of((MODEL, b"\xff")),
        body_of((MODEL, "ü".encode()[:1])),
        body_of((MODEL + b"; x=" + b"y" * 5000, b"a")),
        body_of((b"\r\n".join([*(b"X-%d: y" % number for number in range(8)), MODEL]), b"a")),
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_an_invalid_form_is_refused(body: bytes, step: int) -> None:
    with pytest.raises(BadMultipart) as caught:
        scan(body[at : at + step] for at in range(0, len(body), step))
    assert str(caught.value)


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_value_may_be_as_long_as_the_limit_and_no_longer(step: int) -> None:
    fits = body_of((MODEL, b"x" * 100))
    assert scan((fits[at : at + step] for at in range(0, len(fits), step)), max_value=100).value == "x" * 100
    over = body_of((MODEL, b"x" * 101))
    with pytest.raises(BadMultipart):
        scan((over[at : at + step] for at in range(0, len(over), step)), max_value=100)


def test_an_endless_value_is_refused_at_the_limit() -> None:
    scanner = FieldScanner(BOUNDARY, max_value=100)
    scanner.feed(body_of((MODEL, b""))[: -len(BOUNDARY) - 8])
    with pytest.raises(BadMultipart):
        scanner.feed(b"x" * 200)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data;Boundary="a b:c"', b"a b:c"),
        ("multipart/form-data; charset=utf-8; boundary=abc;", b"abc"),
        ('multipart/form-data; x="; boundary=no"; boundary=yes', b"yes"),
        ("multipart/form-data; boundary=----=_Part_1/2", b"----=_Part_1/2"),
        ('multipart/form-data; boundary="a\\bc"', b"abc"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
        ("multipart/form-data; boundary=" + "x" * 71, None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ('multipart/form-data; boundary=""', None),
        ('multipart/form-data; boundary="abc ', None),
        ('multipart/form-data; boundary="abc "', None),
        ('multipart/form-data; boundary="a\r\nb"', None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=ü€", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/json", None),
        ("boundary=abc", None),
        ("", None),
    ],
)
def test_the_boundary_is_read_from_the_content_type(content_type: bytes | str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_any_content_type_has_a_usable_boundary_or_none(content_type: bytes | str) -> None:
    boundary = boundary_of(content_type)
    assert boundary is None
    for text in (b"multipart/form-data;", b"multipart/form-data; boundary="):
        value = content_type.encode("latin-1", "replace") if isinstance(content_type, str) else content_type
        boundary = boundary_of(text + value)
        if boundary is not None:
            assert scan([b"--" + boundary + b"--"], boundary).ended
