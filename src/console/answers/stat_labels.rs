//! The labels that `stat` is known to print. Any other label may be damaged, so it is stored separately and has to be
//! confirmed by a second answer.

use crate::console::parsing::labeled_line::Label;

/// Endings of labels, each with the words that precede it.
const LABELS: &[(&str, &str)] = &[
    (
        " Times",
        "BMICERR|Bat HT|Bat HV|Bat LT|Bat LV|Bat OT|Bat OV|Bat SHUT|Bat SLP|Bat UT|Bat UV|Board HT|\
         Board LT|Board OT|Board UT|CHT|CLT|COC|COC2|COCA|COT|CUT|CYCLE|Charge|DHT|DLT|DOC|DOC2|DOCA|DOT|\
         DUT|Discharge|FlashFail|I2CERR|Idle|Input OV|LifeAlarm|LifeWarn|LifeWarning|Log Charge|Power on|\
         Pwr HV|Pwr LV|Pwr OV|Pwr SHUT|Pwr SLP|Pwr UV|RV|Reset|SC|SOH|Shut",
    ),
    (
        " Items",
        "Bov|Buv|Coc|Coca|Data|Doc|Doca|EvenData|HisData|HistData|Input ov|MiscData|Plv|Pov|Puv|Sc|\
         Use Data",
    ),
    (
        " Secs",
        "COC|COC2|ChgCurr 0.2C~0.5C|ChgCurr 0.5C~0.8C|ChgCurr 0.8C~1C|ChgCurr 0~0.2C|ChgCurr 1C above|DOC|\
         DOC2|DsgCurr 0.2C~0.5C|DsgCurr 0.5C~0.8C|DsgCurr 0.8C~1C|DsgCurr 0~0.2C|DsgCurr 1C above|HT|\
         HT@0.5C|HTChgDsg|HV1|HV2|LT|LT@0.5C|LTChg|LTDsg|LV|Low SOC1|Low SOC2|Pwr on|SOC LOW|Soc 0~20%|\
         Soc 20~60%|Soc 60% above",
    ),
    (
        " Sec",
        "ChOvr Curr Thd1|ChOvr Curr Thd2|ChOvr Curr Thd3|ChOvr Curr Thd4|ChOvr Curr Thd5|ChOvr Curr Thd6|\
         ChOvr Curr Thd7|ChOvr Curr Thd8|ChOvr Volt Thd1|ChOvr Volt Thd2|ChOvr Volt Thd3|DsgOvr Curr Thd1|\
         DsgOvr Curr Thd2|DsgUnd Volt Thd1|DsgUnd Volt Thd2|DsgUnd Volt Thd3|High Tmpr Thd1|\
         High Tmpr Thd2|High Tmpr Thd3|High Tmpr Thd4|High Tmpr Thd5|Low Tmpr Thd1|Soc High Thd1|\
         Soc High Thd2|Soc High Thd3|Soc Low Thd1|Soc Low Thd2|Soc Low Thd3",
    ),
    (" Cnt.", "Charge|Discharge|Status"),
    (" Cnt", "HT|HT@0.5C|LT|LT@0.5C|LV"),
    (" Hours", "Low Volt ShutDown|Low Volt1|Low Volt2"),
    (" days", "Last Idle|Max Idle"),
    (" Days", "Storages"),
    ("(WH)", "Day Chg Cap|Day Dsg Cap|His.Chg Cap|His.Dsg Cap|Min.Chg Cap|Min.Dsg Cap"),
    ("(mWH)", "Day Chg Capl|Day Dsg Capl|His.Chg Capl|His.Dsg Capl"),
    (
        "",
        "Bat CoulWatt(uWH)|Charge Secs.|Discharge Secs.|Dsg Cap|Dsg Cap(mAH)|Max Charge Volt Diff|\
         Max DisCharge Volt Diff|Pwr Coulomb|Pwr Coulomb(mAS)|Pwr Percent|Pwr PercentWatt|SOH|SOH Percent|\
         Sys SOH",
    ),
];

/// Whether consoles are known to print `label`, ignoring the number of blanks between its words.
pub(crate) fn is_known(label: &str) -> bool {
    let heads = |ending: &str| label.strip_suffix(ending).map(str::trim_end);
    LABELS.iter().any(|(ending, known)| {
        heads(ending).is_some_and(|head| known.split('|').any(|known| Label(known) == Label(head)))
    })
}
