-- wrk posts the lines of a file, one after the other, and says as a line of JSON what came of it:
--   wrk … -s post.lua URL -- FILE
local bodies, place = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
  end
end

function request()
  place = place % #bodies + 1
  return bodies[place]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"rate": %.2f, "p50_us": %.1f, "p99_us": %.1f, "refused": %d, "broken": %d}\n',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
