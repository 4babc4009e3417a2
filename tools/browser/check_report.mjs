// Opens reports from disk in a real browser with the network off: no error on the console, no request out, nothing wider than the window.
//
//     node check_report.mjs REPORT.html… [--screenshots FOLDER]
//
// The browser is $CHROMIUM, else chromium on the path.

import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const WIDTHS = [1280, 390];

const reports = process.argv.slice(2);
const flag = reports.indexOf("--screenshots");
const folder = flag < 0 ? null : reports.splice(flag, 2)[1];
if (reports.length === 0) {
  console.error("usage: node check_report.mjs REPORT.html… [--screenshots FOLDER]");
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const problems = [];
for (const report of reports) {
  const address = pathToFileURL(resolve(report)).href;
  for (const width of WIDTHS) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, offline: true });
    const page = await context.newPage();
    const problem = (text) => problems.push(`${report} at ${width} px: ${text}`);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && problem(message.text()));
    page.on("pageerror", (error) => problem(error.message));
    page.on("request", (request) => {
      if (request.url() !== address && !request.url().startsWith("data:")) problem(`a request to ${request.url()}`);
    });
    page.on("dialog", (dialog) => {
      problem(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.goto(address);
    const found = await page.evaluate(() => ({
      figures: document.querySelectorAll("figure > .scroll > svg.chart").length,
      scripts: document.querySelectorAll("script").length,
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      untold: [...document.querySelectorAll("svg")].filter((svg) => !svg.getAttribute("aria-label")).length,
    }));
    if (found.figures < 5) problem(`${found.figures} figures`);
    if (found.scripts > 0) problem(`${found.scripts} scripts`);
    if (found.wide > 0) problem(`the page is ${found.wide} px wider than the window`);
    if (found.untold > 0) problem(`${found.untold} drawings without a label`);
    if (folder) await page.screenshot({ path: `${folder}/${basename(report, ".html")}-${width}.png`, fullPage: true });
    await context.close();
  }
}
await browser.close();
for (const problem of problems) console.error(problem);
console.log(`${reports.length} reports at ${WIDTHS.length} widths: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
