//! The chart: what each unit of work costs the servers, ferryd's cost being 1.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::support::quick;
use crate::table::{
    CPU_PER_FILE, CPU_PER_GIB, CPU_PER_LISTING, CPU_PER_LOGIN, Line, Metric, OWN_EACH, P99, Table, shown,
};

/// What is drawn of a row, where it has one of these.
const DRAWN: [Metric; 6] = [CPU_PER_GIB, CPU_PER_FILE, CPU_PER_LOGIN, CPU_PER_LISTING, OWN_EACH, P99];

/// The scale is logarithmic, and goes from a quarter to 64 times.
const LOWEST: f64 = 0.25;
const HIGHEST: f64 = 64.0;

const WIDTH: i32 = 1_000;
const LEFT: i32 = 110;
const RIGHT: i32 = 830;
const TOP: i32 = 80;
const BAR: i32 = 15;
const GROUP_HEAD: i32 = 24;
const GROUP_FOOT: i32 = 14;

/// A row's bars.
struct Group<'a> {
    title: String,
    ferryd: f64,
    lines: Vec<&'a Line>,
    /// Servers that are not there, and why.
    lacking: Vec<(&'static str, &'a str)>,
}

impl Group<'_> {
    fn count(&self) -> i32 {
        (self.lines.len() + self.lacking.len()) as i32
    }
}

/// What came of it.
pub enum Drawn {
    Nothing,
    Rows(usize),
}

/// Draws all rows in which ferryd and another have a cost; nothing, and no file, where there are none.
pub fn draw(table: &Table, path: &Path) -> Result<Drawn, Box<dyn Error>> {
    let groups = groups(table);
    if groups.is_empty() {
        return Ok(Drawn::Nothing);
    }
    let height = |group: &Group| GROUP_HEAD + GROUP_FOOT + BAR * group.count();
    let bottom = TOP + groups.iter().map(height).sum::<i32>();
    let area = SVGBackend::new(path, (WIDTH as u32, (bottom + 30) as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32, color: RGBColor, across: HPos| {
        ("sans-serif", size).into_font().color(&color).pos(Pos::new(across, VPos::Center))
    };
    let head = if quick() {
        "Cost of each unit of work, ferryd = 1 (a short run)"
    } else {
        "Cost of each unit of work, ferryd = 1"
    };
    area.draw(&Text::new(head, (LEFT, 22), text(20, BLACK, HPos::Left)))?;
    area.draw(&Text::new("further to the right costs more; logarithmic", (LEFT, 44), text(13, GREY, HPos::Left)))?;
    for mark in marks() {
        area.draw(&Text::new(format!("{mark}×"), (across(mark), TOP - 14), text(12, BLACK, HPos::Center)))?;
    }
    let mut down = TOP;
    for group in &groups {
        area.draw(&Text::new(group.title.clone(), (LEFT, down + 14), text(14, BLACK, HPos::Left)))?;
        down += GROUP_HEAD;
        let end = down + BAR * group.count();
        for mark in marks() {
            let style = if mark == 1.0 { BLACK.stroke_width(2) } else { LIGHT.stroke_width(1) };
            area.draw(&PathElement::new(vec![(across(mark), down - 2), (across(mark), end + 2)], style))?;
        }
        for line in &group.lines {
            let ratio = line.median() / group.ferryd;
            let end = across(ratio.clamp(LOWEST, HIGHEST));
            let (from, to) = (end.min(across(1.0)), end.max(across(1.0)));
            let middle = down + BAR / 2;
            area.draw(&Rectangle::new([(from, down + 1), (to, down + BAR - 2)], color(line.server).filled()))?;
            area.draw(&Text::new(line.server, (LEFT - 8, middle), text(12, BLACK, HPos::Right)))?;
            let told = format!("{}×   {} {}", shown(ratio), shown(line.median()), line.metric.unit);
            area.draw(&Text::new(told, (to + 6, middle), text(11, BLACK, HPos::Left)))?;
            down += BAR;
        }
        for (server, why) in &group.lacking {
            let middle = down + BAR / 2;
            area.draw(&Text::new(*server, (LEFT - 8, middle), text(12, GREY, HPos::Right)))?;
            area.draw(&Text::new(*why, (across(1.0) + 6, middle), text(11, GREY, HPos::Left)))?;
            down += BAR;
        }
        down += GROUP_FOOT;
    }
    area.present()?;
    Ok(Drawn::Rows(groups.len()))
}

const GREY: RGBColor = RGBColor(110, 110, 110);
const LIGHT: RGBColor = RGBColor(215, 215, 215);

fn groups(table: &Table) -> Vec<Group<'_>> {
    let mut rows: Vec<&str> = table.lines.iter().map(|line| line.row.as_str()).collect();
    rows.dedup();
    let group = |row: &str| {
        let metric = DRAWN.into_iter().find(|&metric| table.median(row, "ferryd", metric).is_some())?;
        let ferryd = table.median(row, "ferryd", metric).filter(|&cost| cost > 0.0)?;
        let title = format!("{row}: {} ({} {})", metric.name, shown(ferryd), metric.unit);
        let others = |line: &&Line| line.row == row && line.metric == metric && line.server != "ferryd";
        let lines: Vec<&Line> = table.lines.iter().filter(others).collect();
        let has_bar = |server: &str| server == "ferryd" || lines.iter().any(|line| line.server == server);
        let lacking = table.lacking(row).filter(|(server, _)| !has_bar(server)).collect();
        Some(Group { title, ferryd, lines, lacking })
    };
    rows.into_iter().filter_map(group).filter(|group| !group.lines.is_empty()).collect()
}

/// The lines of the scale, each twice the one before.
fn marks() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(LOWEST), |mark| Some(mark * 2.0)).take_while(|&mark| mark <= HIGHEST)
}

fn across(ratio: f64) -> i32 {
    let share = (ratio / LOWEST).ln() / (HIGHEST / LOWEST).ln();
    LEFT + (share * f64::from(RIGHT - LEFT)).round() as i32
}

fn color(server: &str) -> RGBColor {
    match server {
        "vsftpd" => RGBColor(31, 119, 180),
        "proftpd" => RGBColor(255, 127, 14),
        "pure-ftpd" => RGBColor(44, 160, 44),
        "pyftpdlib" => RGBColor(148, 103, 189),
        "unftp" => RGBColor(214, 39, 40),
        _ => RGBColor(140, 140, 140),
    }
}
