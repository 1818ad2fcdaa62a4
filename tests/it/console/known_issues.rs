//! Known issues of consoles and other readers: for each, an answer with the issue and its expected result.

use bankwatch::internals::console::answers;
use bankwatch::internals::console::answers::parsed;
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use serde_json::Value;

/// An answer and its expected result.
struct Pitfall {
    name: &'static str,
    question: &'static str,
    lines: &'static [&'static str],
    /// A path in the values, and the JSON at that path; `problem` and `refused` are the texts of those errors.
    found: &'static [(&'static str, &'static str)],
}

const A: &str = "Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  Volt.St  Curr.St  Temp.St  Coulomb  \
                 Time                 B.V.St   B.T.St  ";
const A1: &str = "1     51874  -3312  23600  21900  22800  3451   3464   Dischg   Normal   Normal   Normal   71%      \
                  2027-03-09 17:42:11  Normal   Normal  ";
const A3: &str = "3     51877  -3305  23800  21800  22900  3452   3466   Dischg   Normal   Normal   Normal   72%      \
                  2027-03-09 17:42:07  Normal   Normal  ";
const ABSENT_2: &str = "2     -      -      -      -      -      -      -      Absent   -        -        -        -        \
                        -                    -        -       ";
const ABSENT_4: &str = "4     -      -      -      -      -      -      -      Absent   -        -        -        -        \
                        -                    -        -       ";
const B: &str = "Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  Volt.St  Curr.St  Temp.St  Coulomb  \
                 Time                 B.V.St   B.T.St   MosTempr M.T.St  ";
const E: &str = "Power Volt   Curr   Tempr  Tlow   Tlow.Id  Thigh  Thigh.Id Vlow   Vlow.Id  Vhigh  Vhigh.Id Base.St  \
                 Volt.St  Curr.St  Temp.St  Coulomb  Time                 B.V.St   B.T.St   MosTempr M.T.St   SysAlarm.St";
const E1: &str = "1     50311  5270   28400  26900  3        27800  12       3349   7        3358   0        Charge   \
                  Normal   Normal   Normal   57%      2027-06-17 13:55:29  Normal   Normal  30200    Normal   Normal  ";
const CELLS: &str =
    "Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  Coulomb     ";
const CELL_0: &str = "0        3452     -3312    21900    Dischg       Normal       Normal       Normal        71%      35480 mAH";
const CELL_1: &str = "1        3459     -3312    21900    Dischg       Normal       Normal       Normal        71%      35491 mAH";
const CELL_2: &str = "2        3454     -3312    21900    Dischg       Normal       Normal       Normal        71%      35502 mAH";

const PITFALLS: &[Pitfall] = &[
    Pitfall {
        name: "percentages in rows without SOC in the header",
        question: "bat 1",
        lines: &[CELLS, CELL_0],
        found: &[("/cells/0/soc_percent", "71"), ("/cells/0/coulomb_mah", "35480"), ("problem", "")],
    },
    Pitfall {
        name: "a percentage one column too early",
        question: "bat 1",
        lines: &[
            CELLS,
            "0        3452     -3312    21900    Dischg       Normal       Normal       Normal     80%         40120 mAH",
        ],
        found: &[
            ("/cells/0/temp_state", "\"Normal\""),
            ("/cells/0/soc_percent", "80"),
            ("/cells/0/coulomb_mah", "40120"),
        ],
    },
    Pitfall {
        name: "a full column leaves a single blank",
        question: "pwr",
        lines: &[
            A,
            "1     51874  -3312  23600  21900  22800  3451   3464   SysError Abnormal Abnormal Abnormal 71%      \
             2027-03-09 17:42:11  Abnormal Abnormal",
        ],
        found: &[("/rows/0/base_state", "\"SysError\""), ("/rows/0/soc_percent", "71"), ("problem", "")],
    },
    Pitfall {
        name: "an absent row is short in the wide layouts",
        question: "pwr",
        lines: &[E, E1, ABSENT_2],
        found: &[
            ("/rows/1/absent", "true"),
            ("/rows/1/voltage_mv", "null"),
            ("/rows/0/lowest_cell", "7"),
            ("problem", ""),
        ],
    },
    Pitfall {
        name: "absent rows are left out",
        question: "pwr",
        lines: &[A, A1, A3],
        found: &[("/rows/1/place", "3"), ("/rows/1/voltage_mv", "51877"), ("problem", "")],
    },
    Pitfall {
        name: "no sensor at the transistors",
        question: "pwr",
        lines: &[
            B,
            "1     51874  -3312  23600  21900  22800  3451   3464   Dischg   Normal   Normal   Normal   71%      \
             2027-03-09 17:42:11  Normal   Normal    -        -      ",
        ],
        found: &[("/rows/0/mos_temperature_mc", "null"), ("/rows/0/mos_temp_state", "null"), ("problem", "")],
    },
    Pitfall {
        name: "the heater twice and no state of health",
        question: "pwr 1",
        lines: &[
            " Voltage         : 53127       mV",
            " Heater Status   : ON      ",
            " Heater Status   : OFF     ",
        ],
        found: &[("/heater", "\"ON\""), ("/soh_state", "null"), ("problem", "")],
    },
    Pitfall {
        name: "an answer far shorter than any threshold",
        question: "pwr 1",
        lines: &[" Power  1", " Voltage         : 53127       mV", " Current         : 842         mA"],
        found: &[("/voltage_mv", "53127"), ("/current_ma", "842"), ("/soc_percent", "null"), ("problem", "")],
    },
    Pitfall {
        name: "a damaged header",
        question: "pwr",
        lines: &["Powe\u{f0} Volt   Curr", A1],
        found: &[("refused", "expected a header line beginning with Power Volt, found none among 2 lines")],
    },
    Pitfall {
        name: "a header that lost a column",
        question: "bat 1",
        lines: &[
            "Battery  Volt     Tempr    Base State   Volt. State  Curr. State  Temp. State  Coulomb     ",
            CELL_0,
        ],
        found: &[("refused", "line 2, column \"Base State\": expected a word, found \"21900\"")],
    },
    Pitfall {
        name: "two cells run together",
        question: "bat 1",
        lines: &[
            CELLS,
            "0        3452     -3312    21900    Dischg       Normal       Normal       Normal        71%      35480 \
             mAH1        3459     -3312    21900    Dischg       Normal       Normal       Normal        71%      35491 mAH",
        ],
        found: &[("refused", "line 2: expected the end of the row after Coulomb, found \"mAH1\"")],
    },
    Pitfall {
        name: "a cell lost",
        question: "bat 1",
        lines: &[CELLS, CELL_0, CELL_2],
        found: &[
            ("/cells/1/voltage_mv", "null"),
            ("/cells/2/number", "2"),
            ("problem", "line 3: expected cell 1, found number 2"),
        ],
    },
    Pitfall {
        name: "a cell twice",
        question: "bat 1",
        lines: &[CELLS, CELL_0, CELL_0],
        found: &[("/cells/1", "nothing"), ("problem", "line 3: expected cell 1, found number 0")],
    },
    Pitfall {
        name: "a battery lost from a table that shows absent ones",
        question: "pwr",
        lines: &[A, A1, A3, ABSENT_4],
        found: &[
            ("/rows/0/place", "1"),
            ("/rows/1/place", "3"),
            ("problem", "line 3: expected battery 2, found number 3"),
        ],
    },
    Pitfall {
        name: "an absent battery run together with the next",
        question: "pwr",
        lines: &[
            A,
            A1,
            "2     -      -      -      -      -      -      -      Absent   -        - 3     51877  -3305  23800  21800",
            ABSENT_4,
        ],
        found: &[
            ("/rows/1/place", "4"),
            (
                "problem",
                "line 3, column \"Temp.St\": expected a word, found \"3\"; line 4: expected battery 3, found number 4",
            ),
        ],
    },
    Pitfall {
        name: "a damaged word does not make a battery without values",
        question: "pwr",
        lines: &[
            A,
            A1,
            "2     -      -      -      -      -      -      -      Absunt   -        -        -        -        -      -   - ",
        ],
        found: &[
            ("/rows/1", "nothing"),
            (
                "problem",
                "line 3, column \"Volt\": expected a whole number of mV, or dashes around the word Absent, \
                 found \"2     -      -      -      -      -     …\"",
            ),
        ],
    },
    Pitfall {
        name: "more than full",
        question: "pwr 1",
        lines: &[" Coulomb         : 107         %"],
        found: &[("/soc_percent", "107"), ("problem", "")],
    },
    Pitfall {
        name: "a negative limit",
        question: "info 1",
        lines: &["Max Dischg Curr     : -90000mA", "Max Charge Curr     : 90000mA"],
        found: &[("/max_discharge_current_ma", "-90000"), ("/max_charge_current_ma", "90000")],
    },
    Pitfall {
        name: "a sign that contradicts the state",
        question: "pwr 1",
        lines: &[" Current         : -610        mA", " Basic Status    : Charge  "],
        found: &[("/current_ma", "-610"), ("/base_state", "\"Charge\""), ("problem", "")],
    },
    Pitfall {
        name: "a clock that was never set",
        question: "time",
        lines: &["Ds3231 2000-00-00 00:00:00"],
        found: &[("/clock", "null")],
    },
    Pitfall {
        name: "a clock of the epoch",
        question: "time",
        lines: &["1970-01-01 00:03:20"],
        found: &[("/clock", "\"1970-01-01T00:03:20\"")],
    },
    Pitfall {
        name: "cells numbered from one",
        question: "bat 1",
        lines: &[CELLS, CELL_1, CELL_2],
        found: &[("/cells/0/number", "1"), ("/cells/0/voltage_mv", "3459"), ("/cells/1/voltage_mv", "3454")],
    },
    Pitfall {
        name: "an unknown label",
        question: "pwr 1",
        lines: &[
            " Voltage         : 53127       mV",
            " Moon Phase      : waxing",
            " Current         : 842         mA",
        ],
        found: &[
            ("/voltage_mv", "53127"),
            ("/current_ma", "842"),
            ("/other/0", r#"["Moon Phase","waxing"]"#),
        ],
    },
    Pitfall {
        name: "an unknown column of one word",
        question: "bat 1",
        lines: &[
            "Battery  Volt     Strain   Tempr    Base State",
            "0        3452     17       21900    Idle",
        ],
        found: &[
            ("/cells/0/voltage_mv", "3452"),
            ("/cells/0/temperature_mc", "21900"),
            ("/cells/0/base_state", "\"Idle\""),
        ],
    },
    Pitfall {
        name: "an unknown column of two words",
        question: "bat 1",
        lines: &[
            "Battery  Volt     Moon State   Tempr    Base State",
            "0        3452     Waxing       21900    Idle",
        ],
        found: &[("/cells/0/temperature_mc", "21900"), ("/cells/0/base_state", "\"Idle\"")],
    },
    Pitfall {
        name: "an amount in another unit",
        question: "bat 1",
        lines: &[
            CELLS,
            "0        3452     -3312    21900    Dischg       Normal       Normal       Normal        71%      35 AH",
        ],
        found: &[(
            "refused",
            "line 2, column \"Coulomb\": expected a whole number of mAH, found \"71% 35 AH\"",
        )],
    },
    Pitfall {
        name: "a snapshot's charge is a percentage alone",
        question: "data event",
        lines: &[
            "Voltage         : 51902       mV",
            CELLS,
            "0        3456     -2980    21800    Dischg       Normal       Normal       Normal        72%",
        ],
        found: &[("/cells/0/soc_percent", "72"), ("/cells/0/voltage_mv", "3456")],
    },
    Pitfall {
        name: "an idle time of 2^32 seconds",
        question: "stat",
        lines: &["Last Idle days           :    49710", "CYCLE Times     :      131"],
        found: &[("/counters/0", r#"["Last Idle days",49710]"#), ("/cycles", "131")],
    },
    Pitfall {
        name: "another battery answers",
        question: "pwr 2",
        lines: &[" Power  3", " Voltage         : 53127       mV"],
        found: &[("refused", "requested battery 2, but the answer is about battery 3")],
    },
    Pitfall {
        name: "a repeated label with another value",
        question: "pwr 1",
        lines: &[" Voltage         : 53127       mV", " Voltage         : 53721       mV"],
        found: &[
            ("/voltage_mv", "53127"),
            (
                "problem",
                "line 2, \"Voltage\": expected the same value as in the earlier line with this label, found \"53721       mV\"",
            ),
        ],
    },
    Pitfall {
        name: "a digit that became a letter",
        question: "pwr 1",
        lines: &[" Voltage         : 53l27       mV", " Current         : 842         mA"],
        found: &[
            ("/voltage_mv", "null"),
            ("/current_ma", "842"),
            ("problem", "line 1, \"Voltage\": expected a whole number of mV, found \"53l27       mV\""),
        ],
    },
];

fn framed(question: &str, lines: &[&str]) -> Answer {
    let body = lines.join("\r\r\n");
    let text = format!("{question}\n\r@\r\r\n{body}\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>");
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    match Framer::new(question).push(&bytes) {
        FrameStatus::Complete(answer) => answer,
        other => panic!("{question}: {other:?}"),
    }
}

#[test]
fn each_known_issue_is_handled_as_listed() {
    for Pitfall { name, question, lines, found } in PITFALLS {
        let outcome = answers::parse(question.parse().unwrap(), &framed(question, lines));
        let json = outcome.as_ref().map_or(Value::Null, |parsed| serde_json::to_value(parsed).unwrap());
        for (place, expected) in *found {
            let found = match (*place, &outcome) {
                ("refused", outcome) => outcome.as_ref().err().map_or_else(String::new, ToString::to_string),
                (_, Err(reason)) => panic!("{name}: {reason}"),
                ("problem", Ok(parsed)) => {
                    parsed.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
                }
                (pointer, Ok(_)) => json.pointer(pointer).map_or("nothing".to_owned(), Value::to_string),
            };
            assert_eq!(found, *expected, "{name}: {place}");
        }
    }
}

#[test]
fn an_answer_without_its_success_line_is_truncated() {
    let bytes = format!("bat 1\n\r@\r\r\n{CELLS}\r\r\n{CELL_0}\r\n\r$$\r\n\rpylon>");
    let FrameStatus::Complete(answer) = Framer::new("bat 1").push(bytes.as_bytes()) else {
        panic!("no answer")
    };
    assert_eq!(answers::parse("bat 1".parse().unwrap(), &answer), Err(parsed::Rejected::Truncated));
}
