// The form of a row, its prediction, what moved it, and the same request elsewhere.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const post = async (url, body) => (await fetch(url, { method: "POST", body: JSON.stringify(body) })).json();

async function formRow(page) {
  const inputs = page.locator("#score-fields input");
  const fields = await inputs.evaluateAll((all) => all.map(({ name, value }) => [name, value]));
  return Object.fromEntries(fields.filter(([, value]) => value !== ""));
}

/** The example of another user, so that some of its columns move the score up and some down. */
async function rowOfBothSigns(url) {
  const { models: [{ current }] } = await (await fetch(`${url}/v1/models`)).json();
  for (let user = 0; user < 100; user += 1) {
    const row = { ...current.example, user_id: `u${user}` };
    const { contributions } = await post(`${url}/v1/explain`, { row });
    const some = (sign) => contributions.some(({ contribution }) => Math.sign(contribution) === sign);
    if (some(1) && some(-1)) return row;
  }
  return assert.fail("no user has contributions of both signs");
}

export const score = {
  "the form is filled with the example, and Enter scores it exactly": async ({ visit, url }) => {
    const page = await visit.open(url);
    const { models: [{ current }] } = await (await fetch(`${url}/v1/models`)).json();
    await page.getByLabel("user_id").first().waitFor();
    const row = await formRow(page);
    assert.deepEqual(row, Object.fromEntries(Object.entries(current.example).filter(([, value]) => value !== "")));
    await page.locator("#score").getByLabel("price").press("Enter");
    const { predictions: [prediction] } = await post(`${url}/v1/predict`, { rows: [row] });
    await page.locator("#score-result .big").waitFor();
    assert.equal(await page.locator("#score-result code").first().innerText(), String(prediction));
    assert.equal(await page.locator("#score-result .big").innerText(), `${(100 * prediction).toPrecision(4)} %`);
    await page.getByRole("table", { name: "What moves it" }).waitFor();
    await visit.screenshot(page, "score");
  },

  "a key that the model does not read has a field, and what the store knows of it is scored": async ({ visit, house }) => {
    house.write("people.csv", "person,user_id\np1,u7\n");
    house.run("features", "load", "people.sqlite", "--users", "people.csv", "--key", "person");
    const url = await house.serve("runs/ratings", "--features", "people.sqlite");
    const page = await visit.open(url);
    const form = page.locator("#score");
    await form.getByLabel("person").fill("p1");
    await form.getByLabel("user_id").fill("");
    const { person, ...row } = await formRow(page);
    assert.equal(person, "p1");
    const { predictions: [prediction] } = await post(`${url}/v1/predict`, { rows: [{ ...row, user_id: "u7" }] });
    await form.getByRole("button", { name: "Score" }).click();
    await page.locator("#score-result .big").waitFor();
    assert.equal(await page.locator("#score-result code").first().innerText(), String(prediction));
  },

  "numbers are number fields, several values name their separator": async ({ visit, url }) => {
    const page = await visit.open(`${url}`, "/?model=ratings");
    const price = page.locator("#score").getByLabel("price");
    assert.deepEqual(await price.evaluate(({ type, step }) => [type, step]), ["number", "any"]);
    const genres = page.locator("#score").getByLabel("genres");
    assert.equal(await genres.getAttribute("type"), "text");
    const described = (await genres.getAttribute("aria-describedby")).split(" ");
    const notes = await Promise.all(described.map((id) => page.locator(`#${id}`).innerText()));
    assert.match(notes.join(" "), /“\|”.*“:”/);
  },

  "contributions are the server's, with base and sum, and are told apart without colour": async ({ visit, url }) => {
    const page = await visit.open(url);
    const row = await rowOfBothSigns(url);
    for (const field of await page.locator("#score-fields input").all()) {
      await field.fill(row[await field.getAttribute("name")] ?? "");
    }
    await page.locator("#score").getByRole("button", { name: "Score" }).click();
    const table = page.getByRole("table", { name: "What moves it" });
    await table.waitFor();
    const found = await post(`${url}/v1/explain`, { row });
    const lines = await table.locator("tbody tr").evaluateAll((lines) => lines.map((line) => ({
      name: line.cells[0].firstChild.textContent,
      value: Number(line.cells[2].textContent.replaceAll(",", "").replace("−", "-")),
      down: line.querySelector("rect")?.getAttribute("fill") === "url(#hatch)",
      left: line.querySelector("rect")?.getAttribute("x") !== "50%",
    })));
    const near = (a, b) => assert.ok(Math.abs(a - b) <= 1e-3 * Math.max(1, Math.abs(b)), `${a} is not ${b}`);
    near(lines[0].value, found.base);
    near(lines.at(-1).value, found.logit);
    const moved = found.contributions.filter(({ contribution }) => contribution !== 0);
    assert.equal(lines.length, moved.length + 2);
    for (const { column, contribution } of moved) {
      const line = lines.find(({ name }) => name === column);
      near(line.value, contribution);
      assert.deepEqual([line.down, line.left], [contribution < 0, contribution < 0]);
    }
  },

  "a rating is shown as a number": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings");
    await page.locator("#score").getByRole("button", { name: "Score" }).click();
    const request = { model: "ratings", rows: [await formRow(page)] };
    const { predictions: [prediction] } = await post(`${url}/v1/predict`, request);
    await page.locator("#score-result .big").waitFor();
    assert.equal(await page.locator("#score-result .big").innerText(), prediction.toPrecision(4));
    await page.getByRole("table", { name: "What moves it" }).waitFor();
    await visit.screenshot(page, "rating");
  },

  "Clear empties the form, Example fills it again": async ({ visit, url }) => {
    const page = await visit.open(url);
    const part = page.locator("#score");
    const row = await formRow(page);
    await part.getByRole("button", { name: "Clear" }).click();
    assert.deepEqual(await formRow(page), {});
    await part.getByRole("button", { name: "Score" }).click();
    await page.locator("#score-result .big").waitFor();
    await part.getByRole("button", { name: "Example" }).click();
    assert.deepEqual(await formRow(page), row);
    assert.equal(await page.locator("#score-result .big").count(), 0, "a prediction of another row stays");
  },

  "an error of the server stands beside the field that it names": async ({ visit, url }) => {
    visit.expect(400);
    const page = await visit.open(url, "/?model=ratings");
    const genres = page.locator("#score").getByLabel("genres");
    await genres.fill("Drama:heavy");
    await genres.press("Enter");
    const field = page.locator("#score .field", { has: page.getByLabel("genres") });
    await field.locator(".error").getByText("heavy").waitFor();
    assert.equal(await genres.getAttribute("aria-invalid"), "true");
    assert.equal(await genres.evaluate((element) => element === document.activeElement), true);
    await visit.screenshot(page, "error");
    await genres.fill("Drama:2");
    await genres.press("Enter");
    await page.locator("#score-result .big").waitFor();
    assert.equal(await genres.getAttribute("aria-invalid"), null);
  },

  "a number that is none is not sent": async ({ visit, url }) => {
    const page = await visit.open(url);
    const price = page.locator("#score").getByLabel("price");
    await price.press("Control+a");
    await price.pressSequentially("1e");
    await price.press("Enter");
    await page.locator("#score .field", { has: page.getByLabel("price") }).getByText("Expected a number").waitFor();
    assert.equal(await page.locator("#score-result .big").count(), 0);
  },

  "an example that is a number for the server only is shown and sent as it is": async ({ visit, url }) => {
    const page = await visit.open(url);
    await page.route("**/v1/models", async (route) => {
      const response = await route.fetch();
      const said = await response.json();
      said.models[0].current.example.price = "+5.";
      await route.fulfill({ response, json: said });
    });
    await page.reload();
    const price = page.locator("#score").getByLabel("price");
    assert.equal(await price.inputValue(), "+5.");
    await price.press("Enter");
    await page.locator("#score-result .big").waitFor();
    assert.match(await page.locator("#score-curl").innerText(), /"price": "\+5\."/);
  },

  "an error that names no field stands below the form": async ({ visit, url }) => {
    visit.expect(429);
    const page = await visit.open(url);
    await page.route("**/v1/predict", (route) => route.fulfill({ status: 429, contentType: "application/json",
      body: JSON.stringify({ error: "the queue is full", code: "overloaded", hint: "ask again in a second" }) }));
    await page.locator("#score").getByRole("button", { name: "Score" }).click();
    await page.locator("#score-error").getByText("The queue is full (ask again in a second)").waitFor();
  },

  "curl and Python ask for the same": async ({ visit, url }) => {
    const page = await visit.open(url, "/?model=ratings", { permissions: ["clipboard-read", "clipboard-write"] });
    await page.locator("#score").getByLabel("user_id").fill("it's \"u1\" $HOME \\n é");
    await page.locator("#score").getByLabel("user_id").press("Enter");
    const prediction = await page.locator("#score-result code").first().innerText();
    for (const [what, program, flag] of [["curl", "bash", "-c"], ["Python", "python3", "-c"]]) {
      await page.getByRole("button", { name: `Copy ${what}` }).click();
      await page.locator("#score-requests").getByText("Copied").first().waitFor();
      const text = await page.evaluate(() => navigator.clipboard.readText());
      const printed = execFileSync(program, [flag, text], { encoding: "utf8" });
      assert.ok(printed.includes(prediction), `${prediction} in ${printed}`);
      await page.locator("#score-requests").getByText("Copied").first().waitFor({ state: "hidden" });
    }
  },
};
