// Figures of what the server does now.
import assert from "node:assert/strict";

const tile = (page, title) => page.locator("#live-figures > div", { hasText: title });

export const live = {
  "figures come each second and draw a line": async ({ visit, url }) => {
    const page = await visit.open(url);
    await page.locator("#live-note").getByText("last 10 seconds").waitFor();
    for (let request = 0; request < 20; request += 1) {
      await fetch(`${url}/v1/predict`, { method: "POST", body: JSON.stringify({ rows: [{}, {}] }) });
    }
    for (const title of ["Requests", "Rows", "Median time", "99th percentile", "Errors", "Waiting"]) {
      await tile(page, title).locator(".value", { hasText: /\d/ }).waitFor();
    }
    await page.waitForFunction(() =>
      document.querySelector("#live polyline").getAttribute("points").split(" ").length > 2);
    const requests = await tile(page, "Requests").locator(".value").innerText();
    assert.ok(Number.parseFloat(requests) > 0, requests);
    await visit.screenshot(page, "live");
  },

  "figures stop on request, and while nobody looks": async ({ visit, url }) => {
    const page = await visit.open(url);
    let asked = 0;
    page.on("request", (request) => { asked += request.url().endsWith("/v1/live") ? 1 : 0; });
    await page.locator("#live-note").getByText("last 10 seconds").waitFor();
    const pause = page.getByRole("button", { name: "Pause" });
    await pause.click();
    assert.equal(await pause.getAttribute("aria-pressed"), "true");
    await page.waitForTimeout(300);
    let before = asked;
    await page.waitForTimeout(2200);
    assert.equal(asked, before, "asked while paused");
    await pause.click();
    await page.waitForTimeout(2200);
    assert.ok(asked > before, "asks no more after the pause");
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(300);
    before = asked;
    await page.waitForTimeout(2200);
    assert.equal(asked, before, "asked while hidden");
  },

  "a server without such figures says so once": async ({ visit, url }) => {
    visit.expect(404);
    const page = await visit.open(url, "/docs");
    let asked = 0;
    await page.route("**/v1/live", (route) => {
      asked += 1;
      return route.fulfill({ status: 404, json: { error: 'nothing is at "/v1/live"', code: "not_found" } });
    });
    await page.goto(url);
    await page.locator("#live-note").getByText("Nothing is at").waitFor();
    await page.waitForTimeout(1500);
    assert.equal(asked, 1);
  },
};
