-- Modules lie under the spell's own folder, and nowhere else.
local tax = require("shop.tax")
local words = require("words")

return {
  fault = "skip",
  cast = function(event)
    print(tax.add(100), words.hello, require("shop.tax") == tax, require("silent"), require("pkg").name)
    for _, name in ipairs{ "missing", "..secret", "/etc/passwd", "shop/tax", "../json/spell", "", "shop.", "io", "shop.nothing" } do
      print(select(2, pcall(require, name)))
    end
    print(select(2, pcall(require, "broken")))
    print(select(2, pcall(require, "circle.a")))
    print(select(2, pcall(require, "faulty")))
    print(package, io, debug, load, loadstring, dofile, loadfile, collectgarbage, string.dump)
    tax.fail()
  end,
}
