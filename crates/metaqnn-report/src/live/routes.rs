//! Which address shows what.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;
use metaqnn_core::study::TrialNumber;

use super::watch::{Site, Watched};
use super::{events, guard, overview, page, q_map, study_page, trial_page, trial_table};

const NO_STUDY: &str = "There is no study of that number.";
const NO_TRIAL: &str = "The study has no trial of that number.";

type Words = HashMap<String, String>;

/// Every address.
pub(crate) fn router(site: Arc<Site>) -> Router {
    let page_routes = Router::new()
        .route("/", get(home))
        .route(
            "/part/overview",
            get(async |State(site): State<Arc<Site>>| blocking(move || overview::studies(&site)).await),
        )
        .route(
            "/part/comparison",
            get(async |State(site): State<Arc<Site>>| blocking(move || overview::comparison(&site)).await),
        )
        .route("/study/{study}", get(study))
        .route("/study/{study}/part/{part}", get(part))
        .route("/study/{study}/settings.toml", get(settings))
        .route("/study/{study}/q-table", get(q_table))
        .route("/study/{study}/trial/{trial}", get(trial))
        .route("/study/{study}/trial/{trial}/part", get(trial_part));
    page_routes
        .route("/events", get(events::events))
        .route("/assets/live.css", get(async || asset("text/css; charset=utf-8", page::STYLE)))
        .route("/assets/live.js", get(async || asset("text/javascript; charset=utf-8", page::SCRIPT)))
        .route("/assets/theme.js", get(async || asset("text/javascript; charset=utf-8", page::THEME_SCRIPT)))
        .fallback(async || absent("There is no such page."))
        .layer(middleware::from_fn_with_state(site.clone(), guard::check))
        .with_state(site)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn absent(text: &str) -> Response {
    page::message(StatusCode::NOT_FOUND, "Not found", text)
}

/// Makes a page where waiting for a disk or a lock holds nobody else up.
async fn blocking(make: impl FnOnce() -> Markup + Send + 'static) -> Response {
    answer(move || Ok(make())).await
}

/// What there is not is an error that says so.
async fn answer(make: impl FnOnce() -> Result<Markup, &'static str> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(make).await {
        Ok(Ok(markup)) => markup.into_response(),
        Ok(Err(text)) => absent(text),
        Err(_) => page::message(
            StatusCode::INTERNAL_SERVER_ERROR,
            "A fault of metaqnn",
            "This page could not be made; the others go on. What stands on the terminal of `metaqnn serve` helps to mend it.",
        ),
    }
}

/// A page of one study, made from what is known of it.
async fn of_study(
    site: Arc<Site>,
    number: usize,
    make: impl FnOnce(&Site, &Watched) -> Result<Markup, &'static str> + Send + 'static,
) -> Response {
    answer(move || match number.checked_sub(1).and_then(|index| site.studies.get(index)) {
        Some(study) => make(&site, study),
        None => Err(NO_STUDY),
    })
    .await
}

/// The one study, or all side by side.
async fn home(State(site): State<Arc<Site>>, Query(words): Query<Words>) -> Response {
    match site.studies.len() {
        1 => of_study(site, 1, move |site, study| Ok(study_page::page(site, study, &words))).await,
        _ => blocking(move || overview::page(&site)).await,
    }
}

async fn study(State(site): State<Arc<Site>>, Path(number): Path<usize>, Query(words): Query<Words>) -> Response {
    of_study(site, number, move |site, study| Ok(study_page::page(site, study, &words))).await
}

async fn part(
    State(site): State<Arc<Site>>,
    Path((number, part)): Path<(usize, String)>,
    Query(words): Query<Words>,
) -> Response {
    of_study(site, number, move |_, study| match part.as_str() {
        "status" => Ok(study_page::status(study)),
        "best" => Ok(study_page::best(study)),
        "trials" => Ok(trial_table::results(study, &trial_table::Query::parse(&words))),
        "figures" => Ok(study_page::figures(study)),
        "about" => Ok(study_page::about(study)),
        "q-table" => Ok(q_map::map(study, &q_map::Query::parse(&words))),
        _ => Err("There is no such part of a page."),
    })
    .await
}

async fn settings(State(site): State<Arc<Site>>, Path(number): Path<usize>) -> Response {
    let study = number.checked_sub(1).and_then(|index| site.studies.get(index));
    let Some(study) = study else { return absent(NO_STUDY) };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"settings.toml\""),
    ];
    (headers, study.now().view.header.settings.clone()).into_response()
}

async fn q_table(State(site): State<Arc<Site>>, Path(number): Path<usize>, Query(words): Query<Words>) -> Response {
    of_study(site, number, move |site, study| Ok(q_map::page(site, study, &q_map::Query::parse(&words)))).await
}

async fn trial(State(site): State<Arc<Site>>, Path((number, trial)): Path<(usize, u64)>) -> Response {
    of_study(site, number, move |site, study| trial_page::page(site, study, TrialNumber(trial)).ok_or(NO_TRIAL)).await
}

async fn trial_part(State(site): State<Arc<Site>>, Path((number, trial)): Path<(usize, u64)>) -> Response {
    of_study(site, number, move |_, study| trial_page::part(study, TrialNumber(trial)).ok_or(NO_TRIAL)).await
}
