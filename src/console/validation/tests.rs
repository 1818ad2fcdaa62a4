//! Validation of single answers, passed in as text.

use super::*;

const HEADER: &str = "Battery  Volt  Curr  Tempr  Base State  Volt. State  Curr. State  Temp. State  Coulomb";

/// The answer to `command` that holds these lines.
fn answer(command: &str, lines: &[String]) -> Answer {
    let text = format!("{command}\n@\n{}\nCommand completed successfully\n$$\npylon>", lines.join("\n"));
    Answer::from_transcript(text.as_bytes())
}

/// Validates these answers one after the other as answers to one command, a second apart.
fn validated(validator: &mut AnswerValidator, command: &str, answers: &[Vec<String>]) -> ReviewDecision {
    let mut decision = None;
    for (attempt, lines) in (1..).zip(answers) {
        let at = Duration::from_secs(attempt.into());
        let parsed_command = command.parse().expect("a command");
        decision = Some(validator.validate(parsed_command, at, attempt, Ok(answer(command, lines))));
    }
    decision.expect("an answer")
}

fn cell(number: u16) -> String {
    format!("{number}  {}  0  21000  Idle  Normal  Normal  Normal  80%", 3300 + number)
}

#[test]
fn a_lost_first_row_never_shifts_the_cells() {
    let mut validator = AnswerValidator::default();
    let table = |rows: &[u16]| {
        let rows = rows.iter().map(|number| cell(*number));
        [HEADER.to_owned()].into_iter().chain(rows).collect::<Vec<_>>()
    };
    let whole = table(&[0, 1, 2, 3, 4]);
    assert!(matches!(
        validated(&mut validator, "bat 1", &[whole.clone(), whole.clone()]),
        ReviewDecision::Accept(..)
    ));
    // Each answer has another damaged row, so that damage to single rows is accepted at the third attempt.
    let damaged = |row: usize, rows: &[u16]| {
        let mut lines = table(rows);
        lines[row] = lines[row].replace("21000", "2x000");
        lines
    };
    let long = [2, 3, 4].map(|row| damaged(row, &[0, 1, 2, 3, 4]));
    let [first, second, _] = long.clone();
    let short = [first, second, damaged(4, &[1, 2, 3, 4])];
    assert!(matches!(validated(&mut validator, "bat 1", &short), ReviewDecision::Fail(_)));
    assert!(matches!(validated(&mut validator, "bat 1", &long), ReviewDecision::Accept(..)));
}

#[test]
fn a_battery_with_an_unreadable_number_is_not_absent() {
    let header = "Power Volt   Curr   Tempr  Base.St  Volt.St  Curr.St  Temp.St  Coulomb";
    let row =
        |number: &str| format!("{number}     49900  -2500  24000  Dischg   Normal   Normal   Normal   71%");
    let table = ["1", "2", "?"].map(row);
    let lines: Vec<String> = [header.to_owned()].into_iter().chain(table).collect();
    let ReviewDecision::Accept(_, found) =
        validated(&mut AnswerValidator::default(), "pwr", &[lines.clone(), lines])
    else {
        panic!("the rest is accepted")
    };
    let place = |number| Place::new(number).expect("a place");
    assert_eq!(found.present, Some(vec![place(1), place(2)]));
    assert!(found.unreadable.contains(&place(3)), "{:?}", found.unreadable);
    assert!(!found.unreadable.contains(&place(1)));
}

#[test]
fn event_words_with_unknown_labels_are_compared_separately() {
    let mut validator = AnswerValidator::default();
    let detail = |first: &str, second: &str| {
        [
            "Power  1",
            "Voltage : 49900 mV",
            &format!("Pump Events : {first}"),
            &format!("Fan Events : {second}"),
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let sound = detail("0x0", "0x0");
    let all = [sound.clone(), sound.clone(), sound.clone()];
    assert!(matches!(validated(&mut validator, "pwr 1", &all), ReviewDecision::Accept(..)));
    for (first, second) in [("0x8", "0x0"), ("0x0", "0x8")] {
        let decision = validated(&mut validator, "pwr 1", &[detail(first, second)]);
        assert!(matches!(decision, ReviewDecision::Retry(_)), "{first} {second}: {decision:?}");
    }
}
