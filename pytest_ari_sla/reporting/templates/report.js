// Brings the charts to life: replaces the tokens of reporting/charts by what only the browser knows (colours of the
// theme, formatters), and keeps charts in step with the page's width, with light and dark, and with paper.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const drawn = new Map();
  const rootStyle = getComputedStyle(document.documentElement);

  const threeDigits = (value) =>
    value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1000 ? 15 : 3, maximumFractionDigits: 0,
      roundingPriority: "morePrecision" });
  const scaled = (value, steps) => {
    const [factor, unit] = steps.find(([factor]) => Math.abs(value) >= factor * 0.9995) ?? steps.at(-1);
    return `${threeDigits(value / factor)} ${unit}`;
  };
  const TIMES = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const BYTES = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
  const two = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    if (seconds < 100) return `${+seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    const minutes = `${Math.floor(whole / 60) % 60}`;
    return whole < 3600 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(whole / 3600)}:${two(minutes)}:${two(whole % 60)}`;
  };
  const FORMATS = {
    s: (value) => (+value ? scaled(+value, TIMES) : "0"),
    B: (value) => (+value ? scaled(+value, BYTES) : "0"),
    ratio: (value) => `${threeDigits(value * 100)} %`,
    mos: (value) => (+value).toFixed(2),
    ppm: (value) => `${threeDigits(+value)} ppm`,
    clock: (value) => clock(+value),
    nines: (value) => `${+(100 - 100 / value).toFixed(6)} %`,
    call: (value) => (value.length > 14 ? `…${value.slice(-13)}` : value),
  };
  const format = (name) => FORMATS[name] ?? ((value) => threeDigits(+value));
  const escaped = (text) => echarts.format.encodeHTML(String(text));

  const tooltipOfAxis = (valueName, titleName) => (items) => {
    const title = titleName === "call" ? items[0].name : format(titleName)(items[0].axisValue);
    const rows = items.map((item) => {
      const value = Array.isArray(item.value) ? item.value[1] : item.value;
      return `${item.marker}${escaped(item.seriesName)} <b>${value == null ? "-" : escaped(format(valueName)(value))}</b>`;
    });
    return [escaped(title), ...rows].join("<br>");
  };
  const tooltipOfCell = (unit, option) => (item) => {
    const [column, row, value] = item.value;
    const [t, call] = [option.xAxis.data[column], option.yAxis.data[row]];
    return `${escaped(call)}<br>at ${clock(+t)}: <b>${escaped(format(unit)(value))}</b>`;
  };

  function completed(node, option) {
    if (Array.isArray(node)) return node.map((item) => completed(item, option));
    if (typeof node === "string") return node.startsWith("--") ? rootStyle.getPropertyValue(node).trim() : node;
    if (node === null || typeof node !== "object") return node;
    if (node.$format) return (value) => format(node.$format)(value);
    const result = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, completed(value, option)]));
    if (node.$cells) result.data = node.$cells.flatMap((row, y) => row.flatMap((cell, x) => (cell === null ? [] : [[x, y, cell]])));
    if (node.$value) result.formatter = tooltipOfAxis(node.$value, node.$title);
    if (node.$cell) result.formatter = tooltipOfCell(node.$cell, option);
    return result;
  }

  function themed(option) {
    const ink = { color: "--ink-2", fontSize: 11 };
    return completed({
      ...option,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      ...(option.legend && { legend: { ...option.legend, textStyle: ink } }),
      tooltip: { ...option.tooltip, confine: true, backgroundColor: "--surface", borderColor: "--line-2",
        padding: [6, 10], textStyle: { color: "--ink", fontSize: 12 } },
    }, option);
  }

  function draw(id) {
    const { option, renderer, group } = charts[id];
    const chart = drawn.get(id) ?? echarts.init(document.getElementById(id), null, { renderer });
    drawn.set(id, chart);
    chart.setOption(themed(option), true);
    if (group && chart.group !== group) {
      chart.group = group;
      echarts.connect(group);
    }
  }

  const redraw = () => drawn.forEach((chart, id) => { chart.resize(); draw(id); });

  // One chart at a time, from the top down, so that a long report can be read and scrolled while it is drawn.
  // What is folded away has no size yet; it is drawn when it is opened.
  const isShown = (id) => document.getElementById(id).offsetParent !== null;
  const drawShown = () => Object.keys(charts).filter((id) => isShown(id) && !drawn.has(id)).forEach(draw);
  const waiting = Object.keys(charts).filter(isShown);
  (function drawNext() {
    const id = waiting.shift();
    if (id === undefined) return;
    if (!drawn.has(id)) draw(id);
    setTimeout(drawNext);
  })();
  document.querySelectorAll("details").forEach((element) => element.addEventListener("toggle", drawShown));

  new ResizeObserver(() => drawn.forEach((chart) => chart.resize())).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("print").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((element) => { element.open = true; });
    drawShown();
    redraw();
    drawn.forEach((chart) => chart.getZr().refreshImmediately()); // paper does not wait for the next frame
  });
})();
