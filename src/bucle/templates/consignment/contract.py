"""What a valid line of the store's records is; lines that are not go to quarantine."""

import dataframely as dy
import polars as pl

CATEGORIES = ["bag", "coat", "dress", "jewellery", "knitwear", "shoes", "trousers", "watch"]


class Items(dy.Schema):
    """One item that an owner has brought to the store."""

    item_id = dy.String(nullable=False, regex=r"^C\d{6}$")
    arrived = dy.Date(nullable=False)
    category = dy.Enum(CATEGORIES, nullable=False)
    brand = dy.String(nullable=False, min_length=1)
    grade = dy.Enum(["A", "B", "C"], nullable=False)
    age = dy.Float64(nullable=True, min=0)
    photo_score = dy.Float64(nullable=True, min=-5, max=5)
    basis = dy.Float64(nullable=False, min_exclusive=0)
    list_price = dy.Float64(nullable=False, min_exclusive=0)
    outcome = dy.Enum(["sold", "returned"], nullable=True)
    weeks = dy.Int64(nullable=True, min=1, max=12)
    sale_price = dy.Float64(nullable=True, min_exclusive=0)
    commission = dy.Float64(nullable=True)
    closed_on = dy.Date(nullable=True)

    @dy.rule()
    def closes_after_it_arrives(cls) -> pl.Expr:  # noqa: N805  (dataframely's convention)
        """An item leaves the shelf after it has come."""
        return pl.col("closed_on").is_null() | (pl.col("closed_on") > pl.col("arrived"))

    @dy.rule()
    def sale_price_belongs_to_a_sale(cls) -> pl.Expr:  # noqa: N805
        """Sold items have a sale price and no others do."""
        sold = (pl.col("outcome") == "sold").fill_null(value=False)
        return sold == pl.col("sale_price").is_not_null()
