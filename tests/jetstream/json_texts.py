"""Texts of STREAM.CREATE, right and wrong as JSON or as a configuration."""

from __future__ import annotations

import random
from typing import Final

# Each line is a body.
_LINES: Final = r"""
{"name":"S","max_msgs":"x"}
{"name":"S","mirror":"x"}
{"name":"S","mirror":{"name":1}}
{"name":"S","mirror":{"external":{"api":1}}}
{"name":"S","sources":{"name":1}}
{"name":"S","sources":[{"name":1}]}
{"name":"S","sources":[{"name":"A"},1]}
{"name":"S","subjects":[1]}
{"name":"S","subjects":"a"}
{"name":"S","metadata":{"a":1}}
{"name":"S","metadata":1}
{"name":"S","metadata":{"0":1}}
{"name":"S","metadata":{"a/~b":1}}
{"name":"S","metadata":{"":1}}
{"name":"S","metadata":[1]}
{"name":"S","metadata":{"a":null,"b":"c"}}
{"name":"S","max_msgs":1.0}
{"name":"S","max_msgs":1e3}
{"name":"S","max_msgs":-0}
{"name":"S","max_msgs":9223372036854775807}
{"name":"S","max_msgs":9223372036854775808}
{"name":"S","max_msgs":-9223372036854775809}
{"name":"S","max_msgs":123456789012345678901234567890}
{"name":"S","max_msg_size":2147483648}
{"name":"S","first_seq":-1}
{"name":"S","first_seq":-0}
{"name":"S","first_seq":18446744073709551616}
{"name":"S","max_age":"1s"}
{"name":"S","max_consumers":"1s","num_replicas":true}
{"name":"S","pedantic":1}
{"name":"S","consumer_limits":{"max_ack_pending":"a"}}
{"name":"S","consumer_limits":{"inactive_threshold":"a"}}
{"name":"S","consumer_limits":1}
{"name":"S","consumer_limits":null}
{"name":"S","placement":1}
{"name":"S","placement":{"tags":[1]}}
{"name":"S","placement":{"tags":1}}
{"name":"S","republish":1}
{"name":"S","republish":{"dest":1}}
{"name":"S","subject_transform":1}
{"name":"S","subject_transform":{"dest":1}}
{"name":"S","mirror":{"subject_transforms":[{"src":1}]}}
{"name":"S","mirror":{"subject_transforms":[1]}}
{"name":"S","mirror":{"subject_transforms":{}}}
{"name":"S","mirror":{"name":"A","subject_transforms":[null]}}
{"name":"S","mirror":{"external":1}}
{"name":"S","mirror":{"consumer":1}}
{"name":"S","mirror":{"opt_start_seq":"1"}}
{"name":"S","retention":"x"}
{"name":"S","retention":null}
{"name":"S","retention":1}
{"name":"S","retention":"Limits"}
{"name":"S","retention":{"a":1}}
{"name":"S","retention": [1, 2] }
{"name":"S","retention":"limi\u0074s"}
{"name":"S","retention":"é\n"}
{"name":"S","discard":"OLD"}
{"name":"S","discard":"OLDER"}
{"name":"S","discard":null}
{"name":"S","storage":"x"}
{"name":"S","storage":null}
{"name":"S","compression":"x"}
{"name":"S","compression":null}
{"name":"S","compression":1}
{"name":"S","compression":[]}
{"name":"S","compression":"n\u006fne"}
{"name":"S","persist_mode":"x"}
{"name":"S","persist_mode":null}
{"name":"S","mirror":{"opt_start_time":"x"}}
{"name":"S","mirror":{"opt_start_time":1}}
{"name":"S","mirror":{"opt_start_time":true}}
{"name":"S","mirror":{"opt_start_time":null,"name":"A"}}
{"name":"S","mirror":{"opt_start_time":""}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T00:00:00.1200+02:00"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T00:00:00+00:00"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T00:00:00-00:30"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T00:00:00,5Z"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T00:00:00.1234567891Z"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-01-01T0:00:00Z"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"2024-02-29T00:00:00Z"}}
{"name":"S","mirror":{"name":"A","opt_start_time":"0001-01-01T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2023-02-29T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-13-01T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-00-01T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-00T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T24:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:60:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:60Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01 00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00Zx"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00.Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-1-01T00:00:00Z"}}
{"name":"S","mirror":{"opt_start_time":"2024-13-01T00:00:00Zx"}}
{"name":"S","mirror":{"opt_start_time":"2024-13-01"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00+25:00"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00+01:61"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00+0100"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00+25:0x"}}
{"name":"S","mirror":{"opt_start_time":"2024-01-01T00:00:00 01:61"}}
{"name":"S","foo":1}
{"name":"S","maxmsgs":1}
{"name":"S","mirror":{"foo":1}}
{"name":"S","sources":[{"name":"A","external":{"x":1}}]}
{"name":"S","foo":[[{"a":[1,2,{}]}]]}
{"name":"S","":1}
{"name":"S","f\n\"é\u0001\u2028":1}
{"name":"S","max_msgs":"x","foo":1}
{"name":"S","foo":1,"max_msgs":"x"}
{"name":"S","foo":1,"retention":"x"}
{"name":"S","max_msgs":"x","retention":"x"}
{"NAME":"S"}
{"name":"S","NO_ACK":1}
{"name":"S","MAX_MSGS":3}
{"name":"S","mirror":{"name":"A","opt_Start_Seq":3,"FILTER_SUBJECT":"a"}}
{"name":"S","allow_direct":[]}
{"name":"S","allow_direct":null}
{"name":"S","max_msgs":{}}
{"name":"S","subjects":["a",null]}
{"name":"S","sources":[null]}
{"name":"S","subjects":null,"metadata":null,"mirror":null,"sources":null,"max_msgs":null,"name":null}
{"name":"T","name":"S"}
{"name":"S","mirror":{"name":"A"},"mirror":{"filter_subject":"x"}}
{"name":"S","mirror":{"name":"A"},"mirror":null}
{"name":"S","subjects":["a","b"],"subjects":["c"]}
{"name":"S","metadata":{"a":"1"},"metadata":{"b":"2"}}
{"name":"S","consumer_limits":{"max_ack_pending":1},"consumer_limits":{"inactive_threshold":2}}
{"name":"S","description":"\ud800x"}
{"name":"S","description":"\ud83d\ude00 \/\b\f\n\r\t\"\\"}
[]
[1]
1
"x"
true
null
{}

{"name":"S"
{"name":"S"}x
{"name":"S"}{"max_msgs":5}
{"name":"S"} 5
{"name":"S"} []
{"name":"S"}{"foo":1}
{"name":"S"} {"max_msgs" 5}
{"foo":1}{"max_msgs" 5}
{"name":"S"}null
{name:1}
{"name" 1}
{"name":"S",}
{"name":"S" "a"}
{"name":tru}
{"name":nul}
{"name":nan}
{"name":falsy}
{"name":tru e}
{"name":truex}
{"name":t
{"name":-a}
{"name":-}
{"name":--1}
{"name":.5}
{"name":+1}
{"name":01}
{"a":1.}
{"a":1.x}
{"a":1e}
{"a":1ex}
{"a":1e+}
{"a":1e5e}
{"a":1.5.}
{"a":1.5e}
{"a":1
{"a":-
{"name":"\q"}
{"name":"\u12g4"}
{"name":"\u12"}
{"name":"\u12
{"name":"abc
{"name":"abc\
{"name":'a'}
}
]
{"name":"S"}}
{"name":"S"}]
{"a":[1 2]}
{"a":[1,]}
[,]
{,}
["a"
{"a"
{"a":
{"a":1,
{
{"a":1]
["a"}
{"name"::1}
{"a":1}]
/* */
"""

_BYTES: Final = (
    b'{"name":"a\x01"}',
    b'{"name":"S\n"}',
    b'{"name":"S","description":"a\xff\xe2\x82z"}',
    b'{"name":"S","f\xff":1}',
    b'{"name":"S",\xff:1}',
    b'{"name":"S",\xc3\xa9:1}',
    b'{"name":"S",\x00:1}',
    b'\xef\xbb\xbf{"name":"S"}',
    b' \t\r\n{ "name" : "S" , "subjects" : [ "a" , "b" ] , "metadata" : { "a" : "b" } } \n',
    b'{"name":"S","foo":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    # The long s folds to s.
    b'{"name":"S","MAX_M\xc5\xbfGS":3,"mirror":{"opt_\xc5\xbftart_seq":3}}',
    b"",
    b"   ",
)

TEXTS: Final = [line.encode() for line in _LINES.split("\n")] + list(_BYTES)

_WHOLE: Final = (
    b'{"name":"S","subjects":["a.*","b"],"max_age":1000000000,"first_seq":-1.5e3,"sealed":false}',
    b'{"name":"S","mirror":{"name":"O","opt_start_time":"2024-02-29T23:59:59.5+01:00"}}',
    b'{"name":"S","sources":[{"name":"O","external":{"api":"x","deliver":"y"}},null]}',
    b'{"name":"S","retention":"limits","discard":"new","storage":"memory","compression":"s2"}',
    b'{"name":"S","metadata":{"k\\u00e9":"v\\n"},"consumer_limits":{"max_ack_pending":5}}',
)
_PIECES: Final = (
    *(b"%c" % byte for byte in b'{}[]:,"\\/-+.0159eEtfnu \t\n\x00\xff'),
    *(b"null", b"true", b"false", b"\xc3\xa9", b"\\u", b"\\ud83d", b"{}", b"[]", b'""', b"1e5"),
    *(b"name", b"S", b"Z", b"x", b"S" * 3),
)


def spoilt(seed: int, count: int) -> list[bytes]:
    """Texts of a seed with a few pieces put in, taken out or exchanged."""
    dice = random.Random(seed)
    texts: list[bytes] = []
    for _ in range(count):
        text = bytearray(dice.choice((*_WHOLE, *_WHOLE, *TEXTS[:150])))
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            at = dice.randrange(len(text) + 1)
            text[at : at + dice.choice((0, 0, 1, 1, 2, 6))] = dice.choice((b"", *_PIECES))
        if not _crosses_a_read(bytes(text)):
            texts.append(bytes(text))
    return texts


def _crosses_a_read(text: bytes) -> bool:
    """Whether a character or an escape may lie across a border of nats-server's reads.

    It then complains of the half that it has: see DIFFERENT.
    """
    return any(
        b"\\" in text[border - 6 : border] or text[border - 1 : border] >= b"\x80"
        for border in (64, 128, 256)
    )
