//! The hardware of a job back end, and what of it fits a model.

use super::place::Flavor;
use super::session::line;

/// Flavors that are listed; no known service has more.
const FLAVORS: usize = 40;
/// Bytes of a flavor's name and of its description.
const NAME_BYTES: usize = 64;
const DESCRIPTION_BYTES: usize = 120;

/// GiB of accelerator memory over all devices that training a model of a size takes, with a margin
/// for a full fine-tuning in mixed precision of its smaller members.
const SIZES: [(&str, u64); 4] = [
    ("1–3B parameters", 48),
    ("7–13B", 80),
    ("30B and more", 192),
    ("70B and more", 640),
];

/// Percent of the nominal memory that a device must report to count as having it: an A10G with
/// 24 GB reports 22.5 GiB.
const REPORTED_PERCENT: u64 = 90;

/// Whether there is an accelerator among them.
pub(super) fn has_gpu(flavors: &[Flavor]) -> bool {
    flavors.iter().any(|flavor| flavor.accelerators > 0)
}

/// The flavors as a table with their prices.
pub(super) fn table(flavors: &[Flavor]) -> String {
    let mut text =
        String::from("| flavor | hardware | GPU memory | US$ an hour |\n|---|---|---|---|");
    for flavor in flavors.iter().take(FLAVORS) {
        text.push_str(&format!(
            "\n| `{}` | {} | {} | {} |",
            cell(&flavor.name, NAME_BYTES),
            cell(&flavor.description, DESCRIPTION_BYTES),
            memory(flavor),
            price(flavor.usd_per_hour)
        ));
    }
    if flavors.len() > FLAVORS {
        let more = flavors.len() - FLAVORS;
        text.push_str(&format!("\n\nAnd {more} more flavors."));
    }
    text
}

/// How much memory training takes, by the size of the model, with the cheapest flavor that has it
/// where the back end tells of accelerators.
pub(super) fn sizes(flavors: &[Flavor]) -> String {
    let known = flavors.iter().any(|flavor| total_mib(flavor) > 0);
    let size = |(parameters, gib): (&str, u64)| match (known, cheapest(flavors, gib)) {
        (false, _) => format!("{parameters} {gib} GB"),
        (true, None) => format!("{parameters} {gib} GB (nothing here)"),
        (true, Some(flavor)) => {
            let name = cell(&flavor.name, NAME_BYTES);
            format!("{parameters} {gib} GB (cheapest here `{name}`)")
        }
    };
    SIZES.map(size).join(", ")
}

/// The cheapest flavor with so much accelerator memory; unknown prices come last, and of the same
/// price the smallest wins.
fn cheapest(flavors: &[Flavor], gib: u64) -> Option<&Flavor> {
    let wanted = gib * 1024 * REPORTED_PERCENT / 100;
    let fitting = flavors.iter().filter(|flavor| total_mib(flavor) >= wanted);
    fitting.min_by(|a, b| {
        let price = |flavor: &Flavor| known(flavor.usd_per_hour).unwrap_or(f64::INFINITY);
        let prices = price(a).total_cmp(&price(b));
        prices.then_with(|| total_mib(a).cmp(&total_mib(b)))
    })
}

fn total_mib(flavor: &Flavor) -> u64 {
    u64::from(flavor.accelerators) * u64::from(flavor.accelerator_memory_mib)
}

fn memory(flavor: &Flavor) -> String {
    let gib = f64::from(flavor.accelerator_memory_mib) / 1024.0;
    match (flavor.accelerators, flavor.accelerator_memory_mib) {
        (0, _) => "–".to_owned(),
        (_, 0) => "unknown".to_owned(),
        (1, _) => format!("{gib:.0} GB"),
        (count, _) => format!("{count} × {gib:.0} GB"),
    }
}

fn price(usd: Option<f64>) -> String {
    match known(usd) {
        None => "unknown".to_owned(),
        Some(0.0) => "free".to_owned(),
        Some(usd) if usd < 0.005 => "under 0.01".to_owned(),
        Some(usd) => format!("{usd:.2}"),
    }
}

fn known(usd: Option<f64>) -> Option<f64> {
    usd.filter(|usd| usd.is_finite() && *usd >= 0.0)
}

fn cell(text: &str, bytes: usize) -> String {
    line(&text.replace('|', "/"), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flavor(name: &str, accelerators: u32, gib: u32, usd: Option<f64>) -> Flavor {
        Flavor {
            name: name.into(),
            description: "a | b".into(),
            accelerators,
            accelerator_memory_mib: gib * 1024,
            usd_per_hour: usd,
        }
    }

    #[test]
    fn the_cheapest_that_fits_is_named() {
        let flavors = [
            flavor("cpu", 0, 0, Some(0.0)),
            flavor("unpriced", 1, 96, None),
            flavor("large", 2, 24, Some(4.0)),
            flavor("cheap", 1, 45, Some(2.0)),
            flavor("cheap-too", 4, 24, Some(2.0)),
        ];
        let name = |gib| cheapest(&flavors, gib).map(|flavor| flavor.name.as_str());
        assert_eq!(name(24), Some("cheap"));
        assert_eq!(
            name(48),
            Some("cheap"),
            "a device reports less than its name says"
        );
        assert_eq!(name(80), Some("cheap-too"));
        assert_eq!(name(96), Some("cheap-too"));
        assert_eq!(name(192), None);
        assert_eq!(
            cheapest(&flavors[..2], 80).map(|f| &*f.name),
            Some("unpriced")
        );
        assert!(sizes(&flavors).ends_with("70B and more 640 GB (nothing here)"));
        assert!(!sizes(&flavors[..1]).contains("here"));
    }

    #[test]
    fn a_price_is_a_number_or_unknown() {
        assert_eq!(price(Some(1.005)), "1.00");
        assert_eq!(price(Some(0.001)), "under 0.01");
        assert_eq!(price(Some(0.0)), "free");
        for unknown in [None, Some(f64::NAN), Some(-1.0), Some(f64::INFINITY)] {
            assert_eq!(price(unknown), "unknown");
        }
    }

    #[test]
    fn the_table_has_an_end_and_cells_stay_cells() {
        let many = vec![flavor("f\n|", 2, 24, None); FLAVORS + 3];
        let table = table(&many);
        assert_eq!(table.lines().count(), 2 + FLAVORS + 2);
        assert!(table.contains("| `f /` | a / b | 2 × 24 GB | unknown |"));
        assert!(table.ends_with("And 3 more flavors."));
    }
}
