// Who is recommended what.
import assert from "node:assert/strict";

/** Answers requests for recommendations in the server's place, and keeps what was asked. */
async function answer(page, status, body) {
  const asked = [];
  await page.route("**/v1/recommend", (route) => {
    asked.push(route.request().postDataJSON());
    return route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  });
  return asked;
}

const formOf = (page) => page.locator("#recommend-form");
const tableOf = (page) => page.getByRole("table", { name: "Recommended items" });
const recommended = async (url, body) =>
  (await fetch(`${url}/v1/recommend`, { method: "POST", body: JSON.stringify(body) })).json();

async function ask(page) {
  await formOf(page).getByLabel("user_id").fill("u1");
  await formOf(page).getByRole("button", { name: "Recommend" }).click();
}

export const recommend = {
  "the page shows what the server recommends": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await ask(page);
    const { items, candidates } = await recommended(url, { model: "ratings", user: { user_id: "u1" }, k: 10 });
    assert.deepEqual([items.length, candidates], [10, 30]);
    const lines = tableOf(page).locator("tbody tr");
    await lines.nth(9).waitFor();
    await page.getByText("The best 10 of 30 candidates.").waitFor();
    const cells = await lines.evaluateAll((all) =>
      all.map((line) => [...line.cells].slice(0, -1).map((cell) => cell.innerText)));
    assert.deepEqual(cells, items.map(({ item, prediction }, place) =>
      [String(place + 1), item.item_id, item.genres, item.price, prediction.toPrecision(4)]));
    await visit.screenshot(page, "recommend");
  },

  "the columns of items are no fields of the user": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await formOf(page).waitFor();
    const names = await formOf(page).locator("[id^=user-][name]").evaluateAll((all) => all.map(({ name }) => name));
    assert.deepEqual(names, ["user_id"]);
    assert.notEqual(await formOf(page).getByLabel("user_id").inputValue(), "", "the example's user");
  },

  "number and filter are asked for": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await formOf(page).getByLabel("How many").fill("3");
    const note = await page.locator("#recommend-filter-note").innerText();
    const filter = note.match(/such as (.*)$/)[1];
    assert.match(filter, /^genres contains "[A-Z][a-z]+"$/);
    await formOf(page).getByLabel("Filter").fill(`${filter} and price > 1`);
    await ask(page);
    const request = { model: "ratings", user: { user_id: "u1" }, k: 3, filter: `${filter} and price > 1` };
    const { items } = await recommended(url, request);
    await tableOf(page).locator("tbody tr").nth(2).waitFor();
    const shown = await tableOf(page).locator("tbody tr td:nth-child(2)").allInnerTexts();
    assert.deepEqual(shown, items.map(({ item }) => item.item_id));
    await formOf(page).getByLabel("Filter").fill('genres contains "Western"');
    await ask(page);
    await page.getByText("None of the items may be recommended (0 candidates).").waitFor();
    assert.equal(await tableOf(page).count(), 0);
  },

  "what was seen can be left out, and items are shown as text": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    const items = [{ item: { item_id: "i<b>7", genres: "Comedy|Crime" }, prediction: 3.5, logit: 3.5 }];
    const asked = await answer(page, 200, { model: "ratings", version: "1", items, candidates: 1 });
    await formOf(page).getByLabel("Leave out what the user has seen").check();
    await ask(page);
    await tableOf(page).getByText("i<b>7").waitFor();
    assert.deepEqual(asked, [{ model: "ratings", user: { user_id: "u1" }, k: 10, exclude_seen: true }]);
    await page.getByText("The best of 1 candidate.").waitFor();
  },

  "Why? scores the user and the item above": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await ask(page);
    const best = await tableOf(page).locator("tbody tr").first().locator("td").allInnerTexts();
    await page.getByRole("button", { name: "Why rank 1", exact: true }).click();
    await page.getByRole("table", { name: "What moves it" }).waitFor();
    const part = page.locator("#score");
    assert.equal(await part.getByLabel("user_id").inputValue(), "u1");
    assert.equal(await part.getByLabel("item_id").inputValue(), best[1]);
    assert.equal(await page.locator("#score-result .big").innerText(), best[4], "another prediction of the same row");
  },

  "an error stands beside the filter, or the column of the user": async ({ visit, url }) => {
    visit.expect(400);
    const page = await visit.open(url, "/?model=ratings");
    await formOf(page).getByLabel("Filter").fill("gnres = 1");
    await ask(page);
    await page.locator("#recommend-filter-error").getByText("gnres").waitFor();
    assert.equal(await page.getByLabel("Filter").getAttribute("aria-invalid"), "true");
    await answer(page, 400, { error: 'user, column "user_id": expected a text, found a list', code: "bad_value" });
    await ask(page);
    await page.locator("#recommend").getByText("Expected a text, found a list").waitFor();
    assert.equal(await page.locator("#recommend-filter-error").innerText(), "");
    await formOf(page).getByLabel("How many").fill("0");
    await ask(page);
    await page.locator("#recommend-k-error").getByText("Expected a whole number from 1 on.").waitFor();
  },

  "a server of a model alone recommends items of the training rows": async ({ visit, house }) => {
    const page = await visit.open(await house.serve("runs/ratings"));
    await formOf(page).getByLabel("Leave out what the user has seen").check();
    await ask(page);
    await page.getByText(/^The best (\d+ )?of \d+ candidates?\.$/).waitFor();
    const headings = await tableOf(page).locator("thead th").allInnerTexts();
    assert.deepEqual(headings.slice(0, 5), ["Rank", "item_id", "genres", "price", "Prediction"]);
  },

  "a server without a catalogue says how to get one": async ({ visit, house }) => {
    const page = await visit.open(await house.serve("runs/ratings", "--items", "off"));
    await page.locator("#recommend").getByText("Start it with --items FILE, a table with a row for each").waitFor();
    assert.equal(await formOf(page).count(), 0);
  },
};
