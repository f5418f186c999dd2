return {
  cast = function(event)
    local l = event.list
    print("sum", stats.sum(l), stats.sum{ 1, 2.5 }, stats.sum{}, stats.sum{ math.maxinteger, 1 })
    print("compensated", stats.sum{ 1e100, 1, -1e100 })
    print("mean", stats.mean(l), stats.mean{}, "median", stats.median(l), stats.median{ 1, 2, 3, 4 })
    print("min", stats.min(l), stats.max(l), stats.min{})
    print("variance", stats.variance(l), stats.stddev(l), stats.variance{ 5 })
    print("percentile", stats.percentile(l, 0), stats.percentile(l, 50), stats.percentile(l, 90), stats.percentile(l, 100))
    print("several", table.unpack(stats.percentile(l, { 50, 95, 99 })))
    print("histogram", table.unpack(stats.histogram(l, { 10, 20, 50 })))
    print("bucket", stats.bucket({ 10, 20 }, 10), stats.bucket({ 10, 20 }, 10.5), stats.bucket({ 10, 20 }, 99))
    local kept, mean
    for _, value in ipairs(l) do
      state.load = stats.ewma(state.load, value, 0.5)
      kept, mean = stats.moving(state.last, value, 3)
      state.last = kept
      state.acc = stats.welford(state.acc, value)
    end
    print("ewma", state.load, "moving", mean)
    print("summary", json.encode(stats.summary(state.acc)))
    local other = stats.welford(nil, 1000)
    print("merge", json.encode(stats.summary(stats.merge(state.acc, other))), json.encode(stats.merge(nil, other)))
    print(pcall(stats.sum, { 1, "x" }))
    print(pcall(stats.mean, 5))
    print(pcall(stats.percentile, l, 101))
    print(pcall(stats.histogram, l, { 2, 1 }))
    print(pcall(stats.ewma, 1, 2, 3))
    print(pcall(stats.moving, nil, 2, 0))
  end,
}
