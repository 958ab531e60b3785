// The two charts, and the same figures as a table for those who do not see them.
import { element, fill, number } from "./element.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const charts = new Map();

const short = (value) => (value >= 10000 ? `${(value / 1000).toLocaleString("en")}k` : value.toLocaleString("en"));

function make(place, labels, data) {
  const ink = color("--soft");
  const grid = { stroke: color("--line"), width: 1 };
  const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const options = {
    width: Math.max(240, place.clientWidth),
    height: 220,
    legend: { live: true },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
    axes: [axis, { ...axis, size: 52, values: (_, values) => values.map(short) }],
    series: [
      {},
      { label: labels[0], stroke: color("--series-1"), width: 2, spanGaps: true },
      { label: labels[1], stroke: color("--series-2"), width: 2, dash: [6, 4], spanGaps: true },
    ],
  };
  return new window.uPlot(options, data, place);
}

export function draw(id, labels, data) {
  const place = document.getElementById(id);
  const theme = color("--series-1") + place.clientWidth;
  const known = charts.get(id);
  if (known && known.theme === theme) {
    known.plot.setData(data);
    return;
  }
  if (known) known.plot.destroy();
  charts.set(id, { theme, plot: make(place, labels, data) });
}

export function drawSeries(series) {
  draw("chart-flow", ["PNGs a minute", "not done"], [series.t, series.converted, series.waiting]);
  draw("chart-pool", ["nodes", "tasks pending"], [series.t, series.nodes, series.pending]);
  const last = series.t.map((time, at) => [time, series.converted[at], series.waiting[at], series.nodes[at], series.pending[at]])
    .slice(-60).reverse();
  fill(document.getElementById("series-rows"), last.map(([time, ...values]) => element("tr", {},
    element("td", {}, new Date(time * 1000).toLocaleTimeString()),
    ...values.map((value) => element("td", {}, number(value))))));
}
