//! `hookwright stats`: the host in figures.
use std::process::ExitCode;

use serde_json::{Value, json};

use super::api::Where;

/// Points of the series that the rates are taken over: five minutes.
const POINTS: usize = 30;

pub(super) fn run(host: &Where<'_>, as_json: bool) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let (stats, series) = super::block_on(async {
        anyhow::Ok((api.get("stats").await?, api.get("stats/series").await?))
    })?;
    let told = match as_json {
        true => super::json(&json!({ "now": stats, "series": series })),
        false => figures(&stats, &series),
    };
    super::print(&told);
    Ok(ExitCode::SUCCESS)
}

fn figures(stats: &Value, series: &Value) -> String {
    let points = series["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recent = &points[points.len().saturating_sub(POINTS)..];
    let sum = |key: &str| recent.iter().filter_map(|point| point[key].as_u64()).sum::<u64>();
    let step_s = series["step_ms"].as_f64().unwrap_or(10_000.0) / 1_000.0;
    let seconds = (recent.len() as f64 * step_s).max(1.0);
    let lag = recent.iter().filter_map(|point| point["lag_p99_ms"].as_f64()).fold(0.0, f64::max);
    let mib = stats["bytes"].as_f64().unwrap_or_default() / f64::from(1 << 20);
    format!(
        "events kept   {} ({mib:.1} MiB on the disk)\n\
         to be routed  {} events\n\
         waiting       {} deliveries\n\
         dead          {} deliveries\n\
         in the last {}\n\
         \x20 accepted    {} ({:.1}/s), {} refused\n\
         \x20 delivered   {}, {} given up\n\
         \x20 attempts    {} succeeded, {} failed\n\
         \x20 lag p99     {}\n",
        stats["events"],
        stats["accepted"],
        stats["waiting"],
        stats["dead"],
        span(recent.len() as f64 * step_s * 1_000.0),
        sum("accepted"),
        sum("accepted") as f64 / seconds,
        sum("refused"),
        sum("delivered"),
        sum("dead"),
        sum("succeeded"),
        sum("failed"),
        span(lag),
    )
}

/// A span of milliseconds, for people.
pub(super) fn span(ms: f64) -> String {
    match ms {
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1e3),
        ms if ms < 3_600_000.0 => format!("{:.0} min", ms / 6e4),
        ms if ms < 172_800_000.0 => format!("{:.0} h", ms / 3.6e6),
        ms => format!("{:.0} d", ms / 8.64e7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_last_five_minutes() {
        let point = |accepted: u64| json!({ "accepted": accepted, "lag_p99_ms": 12.0 });
        let points: Vec<_> = (0..40).map(|at| point(if at < 10 { 1_000 } else { 1 })).collect();
        let series = json!({ "step_ms": 10_000, "points": points });
        let stats =
            json!({ "events": 5, "bytes": 1 << 20, "accepted": 3, "waiting": 1, "dead": 2 });
        let told = figures(&stats, &series);
        assert!(told.contains("to be routed  3 events"), "{told}");
        assert!(told.contains("in the last 5 min"), "{told}");
        assert!(told.contains("accepted    30 (0.1/s), 0 refused"), "{told}");
        assert!(told.contains("lag p99     12 ms"), "{told}");
    }

    #[test]
    fn spans_have_the_unit_that_people_say() {
        let said = [5.0, 1_500.0, 90_000.0, 7_200_000.0, 864_000_000.0].map(span);
        assert_eq!(said, ["5 ms", "1.5 s", "2 min", "2 h", "10 d"]);
    }
}
