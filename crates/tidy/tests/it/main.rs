//! The rules, held against this repository.

use tidy::cargo::{Crate, crates};
use tidy::repository::Repository;
use tidy::{adapters, borders, documents, habits, holds, imports, manifests, map, sizes, words};

fn repository() -> Repository {
    Repository::here().expect("tidy runs in a git checkout")
}

fn workspace() -> Vec<Crate> {
    crates().expect("cargo tells of the workspace")
}

#[test]
fn the_import_table_is_what_the_manifests_say() {
    holds(&imports::check(&repository(), &workspace()));
}

#[test]
fn the_code_map_names_every_file() {
    holds(&map::check_map(&repository(), &workspace()));
}

#[test]
fn a_mod_line_leads_to_every_file() {
    holds(&map::check_reach(&repository(), &workspace()));
}

#[test]
fn files_and_functions_are_short() {
    holds(&sizes::check(&repository()));
}

#[test]
fn names_are_our_words() {
    holds(&words::check(&repository()));
}

#[test]
fn sql_is_in_the_store_only() {
    holds(&borders::check_sql(&repository()));
}

#[test]
fn http_is_at_the_edges_and_goes_out_through_egress() {
    holds(&borders::check_manifests(&repository(), &workspace()));
    holds(&borders::check_clients(&repository()));
}

#[test]
fn each_platform_is_complete() {
    holds(&adapters::check(&repository()));
}

#[test]
fn decisions_are_numbered_and_short() {
    holds(&documents::check_decisions(&repository()));
}

#[test]
fn the_changelog_has_a_place_for_what_comes_next() {
    holds(&documents::check_changelog(&repository()));
}

#[test]
fn both_engines_have_the_same_migrations() {
    holds(&documents::check_migrations(&repository()));
}

#[test]
fn every_error_code_has_a_page() {
    holds(&documents::check_error_pages(&repository()));
}

#[test]
fn no_text_tells_where_it_was_written() {
    holds(&documents::check_machines(&repository()));
}

#[test]
fn every_crate_lints_like_all_others_and_says_what_it_is_for() {
    holds(&manifests::check_workspace(&repository()));
    holds(&manifests::check_crates(&repository(), &workspace()));
}

#[test]
fn code_does_not_unwrap() {
    holds(&habits::check_unwraps(&repository()));
}

#[test]
fn no_test_is_skipped_or_sleeps() {
    holds(&habits::check_ignored(&repository()));
    holds(&habits::check_sleeps(&repository()));
}

#[test]
fn promises_name_their_issue() {
    holds(&habits::check_promises(&repository()));
}
