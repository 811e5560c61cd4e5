"""The text of a batch's file as UTF-8, whatever encoding it is in."""

from __future__ import annotations

import codecs

from lume_dagster.engine.batch_file import BatchFile, PlainBytes
from lume_dagster.engine.document import DETECT
from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.stage import Cancel, check_cancel

CHUNK = 4 * 1024 * 1024
_BOM = codecs.BOM_UTF8
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
_SAMPLE = 256


class Utf8Stream:
    """The bytes of a text file as UTF-8 without a byte order mark; knows where bytes are not what they should be."""

    def __init__(self, file: PlainBytes, path: str, encoding: str, cancel: Cancel | None) -> None:
        self._file = file
        self._path = path
        self._encoding = encoding
        self._passes = encoding == "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._cancel = cancel
        self._at_start = True
        self._pending = False
        self._offset = 0
        self.lines = 0

    def chunk(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            BatchError: Reading fails, or bytes are no text in the encoding.
            CancelledError: The caller's flag is set.
        """
        while True:
            check_cancel(self._cancel)
            raw = self._file.read(CHUNK)
            text = self._decoded(raw)
            self._offset += len(raw)
            if self._at_start and text:
                self._at_start = False
                text = text.removeprefix(_BOM)
            if text or not raw:
                self.lines += text.count(b"\n")
                return text

    def _decoded(self, raw: bytes) -> bytes:
        if self._passes and not self._pending and raw.isascii():
            return raw
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise self._undecodable(raw, error) from error
        encoded = text.encode()
        self._pending = bool(self._decoder.getstate()[0])
        return encoded

    def _undecodable(self, raw: bytes, error: UnicodeDecodeError) -> BatchError:
        before = self._offset + len(raw) - len(error.object)  # the decoder had kept back some bytes
        line = self.lines + bytes(error.object[: error.start]).count(b"\n") + 1
        start = bytes(error.object[:2])
        if before + error.start <= 1 and start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            remedy = "the file starts like UTF-16: set source.encoding: utf-16"
        elif self._passes:
            remedy = (
                "set source.encoding to the file's encoding, for example source.encoding: latin-1 or cp1252, "
                "or to detect"
            )
        else:
            remedy = "set source.encoding to the file's encoding"
        byte = error.object[error.start]
        return BatchError(
            f"{self._path}, line {line}, byte offset {before + error.start}: "
            f"the byte 0x{byte:02x} is no {self._encoding} text; {remedy}"
        )


def encoding_of(file: BatchFile, encoding: str, cancel: Cancel | None) -> str:
    """The encoding a file is read by: the one that the flow says, or the one that is detected.

    Detected is, in this order: a byte order mark; UTF-16 without one, by where its zero bytes lie; UTF-8 if the
    whole file is; Windows-1252 if all of its bytes have a character there; else Latin-1.

    Raises:
        BatchError: The file cannot be read, or not a second time.
        CancelledError: The caller's flag is set.
    """
    if encoding != DETECT:
        return encoding
    if not file.is_rereadable:
        raise BatchError(
            f"{file.name}: this is no regular file, which can be read once only; set source.encoding"
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = is_cp1252 = True
    with file.open_plain() as plain:
        chunk = plain.read(CHUNK)
        for mark, name in _BYTE_ORDER_MARKS:
            if chunk.startswith(mark):
                return name
        if (wide := _wide(chunk[:_SAMPLE])) is not None:
            return wide
        while chunk:
            check_cancel(cancel)
            if not chunk.isascii():
                is_cp1252 = is_cp1252 and not any(byte in chunk for byte in _NOT_CP1252)
            is_utf8 = is_utf8 and _decodes(decoder, chunk)
            chunk = plain.read(CHUNK)
    if is_utf8 and _decodes(decoder, b""):
        return "utf-8"
    return "cp1252" if is_cp1252 else "iso8859-1"


def _wide(sample: bytes) -> str | None:
    """UTF-16 that has no mark: every other byte of its Latin letters is zero."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 4 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(sample) // 4 and not odd else None


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError:
        return False
    return True
