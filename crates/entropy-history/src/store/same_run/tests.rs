use super::*;

fn points(values: &[f64], steps: impl Fn(usize) -> f64) -> Vec<Point> {
    let point = |(i, &entropy): (usize, &f64)| Point { step: steps(i), entropy };
    values.iter().enumerate().map(point).collect()
}

/// A curve that falls with noise; another seed has other noise.
fn curve(seed: u64, rows: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut noise = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..rows).map(|i| 0.7 + 0.7 * (-(i as f64) / 20.0).exp() + 0.01 * noise()).collect()
}

fn rounded(values: &[f64], decimals: i32) -> Vec<f64> {
    let text = |value: &f64| format!("{value:.0$}", decimals as usize).parse().unwrap();
    values.iter().map(text).collect()
}

fn step(i: usize) -> f64 {
    (i + 1) as f64
}

/// The groups of records that are all in logs of their own, in one directory.
fn groups(histories: &[Vec<Point>]) -> Vec<Group> {
    let record = |(log, points): (usize, &'static [Point])| {
        let mut record = RecordOfRun::new(points, log);
        record.directory = Some("/runs".into());
        record
    };
    let histories: Vec<&'static [Point]> =
        histories.iter().map(|points| &*Box::leak(points.clone().into_boxed_slice())).collect();
    let records: Vec<RecordOfRun<'_>> = histories.into_iter().enumerate().map(record).collect();
    group(&records)
}

#[test]
fn equal_prefix_suffix_subset_and_rounded_records_are_one_run() {
    let values = curve(1, 40);
    let whole = points(&values, step);
    let every_fifth: Vec<Point> = whole.iter().copied().skip(4).step_by(5).collect();
    let single: Vec<f64> = values.iter().map(|&value| f64::from(value as f32)).collect();
    for other in [
        whole[..30].to_vec(),
        whole[10..].to_vec(),
        every_fifth,
        points(&rounded(&values, 3), step),
        points(&rounded(&values, 4), step)[..35].to_vec(),
    ] {
        assert_eq!(groups(&[other, whole.clone()]), [[1, 0].to_vec()]);
    }
    for equal in [whole.clone(), points(&single, step)] {
        assert_eq!(groups(&[whole.clone(), equal]), [[0, 1].to_vec()]);
    }
}

#[test]
fn more_complete_record_is_used_then_the_more_exact_one() {
    let values = curve(2, 40);
    let printed = points(&rounded(&values, 3), step);
    let exact = points(&values, step);
    assert_eq!(groups(&[printed.clone(), exact.clone()]), [[1, 0].to_vec()]);
    assert_eq!(groups(&[exact[..39].to_vec(), printed]), [[1, 0].to_vec()]);
}

#[test]
fn seeds_forks_and_evaluations_stay_apart() {
    let (one, two) = (curve(1, 40), curve(2, 40));
    let fork = [&one[..5], &two[5..]].concat();
    let long_fork = [&one[..30], &two[30..]].concat();
    let first = points(&one, step);
    let evaluation = points(&two[..8], |i| 5.0 * step(i));
    for other in [points(&two, step), points(&fork, step), points(&long_fork, step), evaluation] {
        assert_eq!(groups(&[first.clone(), other]).len(), 2);
    }
    for decimals in [2, 3] {
        let (one, two) = (rounded(&one, decimals), rounded(&two, decimals));
        assert_eq!(groups(&[points(&one, step), points(&two, step)]).len(), 2);
    }
}

#[test]
fn constant_values_prove_nothing() {
    let zeros = points(&[0.0; 40], step);
    assert_eq!(groups(&[zeros.clone(), zeros]).len(), 2);
}

#[test]
fn numbered_rows_are_compared_in_order() {
    let values = curve(3, 25);
    let by_step = points(&values, |i| 2.0 * step(i));
    let printed = points(&rounded(&values, 3), step);
    let mut records = [RecordOfRun::new(&printed, 0), RecordOfRun::new(&by_step, 1)];
    assert_eq!(group(&records).len(), 2);
    records[0].is_numbered = true;
    assert_eq!(group(&records), [[1, 0].to_vec()]);
}

#[test]
fn first_part_of_a_resumed_run_is_a_record_of_it() {
    let (first, second) = (curve(4, 40), curve(5, 80));
    let state = points(&[&first[..30], &second[30..]].concat(), step);
    let before = points(&first, step);
    let after = state[30..].to_vec();
    assert_eq!(groups(&[before.clone(), after, state.clone()]), [[2, 1, 0].to_vec()]);
    // Without a record that begins at step 31, nothing tells it from a fork.
    assert_eq!(groups(&[before, state]).len(), 2);
}

#[test]
fn record_behind_a_checkpoint_or_of_one_name_continues_the_run() {
    let (first, second) = (curve(4, 40), curve(5, 80));
    let before = points(&first, step);
    let checkpoint = before[..30].to_vec();
    let after = points(&second, step)[30..].to_vec();
    let record = |points, log, directory: &str| {
        let mut record = RecordOfRun::new(points, log);
        record.directory = Some(directory.into());
        record
    };
    let mut state = record(&checkpoint, 0, "/out/checkpoint-30");
    let records =
        |state| [state, record(&before, 1, "/out/runs/a"), record(&after, 2, "/out/runs/b")];
    state.run_directory = Some("/out".into());
    assert_eq!(runs_of(&records(state)), [vec![vec![1, 0], vec![2]]]);
    let elsewhere = record(&checkpoint, 0, "/out/checkpoint-30");
    assert_eq!(runs_of(&records(elsewhere)).len(), 2);

    let named = |points, log| {
        let mut record = record(points, log, "/wandb");
        (record.name, record.format) = (Some("solver"), "wandb");
        record.identity = RunIdentity::DisplayName;
        record
    };
    assert_eq!(runs_of(&[named(&before, 0), named(&after, 1)]), [vec![vec![0], vec![1]]]);
    let seed = points(&second, step);
    assert_eq!(runs_of(&[named(&before, 0), named(&seed, 1)]).len(), 2);
}

#[test]
fn runs_of_one_log_are_never_one_run() {
    let whole = points(&curve(6, 40), step);
    let records = [RecordOfRun::new(&whole, 0), RecordOfRun::new(&whole, 0)];
    assert_eq!(group(&records).len(), 2);
}

#[test]
fn records_of_very_many_runs_are_found() {
    let mut histories = Vec::new();
    for seed in 0..300 {
        let values = curve(seed, 30);
        histories.push(points(&values, step));
        let printed = points(&rounded(&values, 4), step);
        histories.push(match seed % 3 {
            0 => printed,
            1 => printed[..20].to_vec(),
            _ => printed.into_iter().skip(4).step_by(5).collect(),
        });
    }
    let groups = groups(&histories);
    assert_eq!(groups.len(), 300);
    assert!(groups.iter().all(|group| group.len() == 2 && group[0] + 1 == group[1]));
}
