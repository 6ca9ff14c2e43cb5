"""The plain script: the same six functions, one after the other, nothing kept."""

from pipeline import clean, evaluate, features, load, train, validate

table = features(validate(clean(load())))
print(evaluate(train(table), table))
